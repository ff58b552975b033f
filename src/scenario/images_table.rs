//! What well-known images listen on, from their published Dockerfiles and documentation.
//!
//! An image is matched by its full repository name (`grafana/loki`), else by the last part of it, so that a mirror's
//! copy (`registry.example/library/nginx`) is known too. Tag variants that run something else (`-fpm`) have their own
//! rows. An image missing here simply listens on nothing that the file does not name.

use super::model::{ListenPort, Protocol};

/// One row: repository name, a part the tag must contain (or ""), ports as text.
struct Row(&'static str, &'static str, &'static [&'static str]);

/// More particular rows come first.
const ROWS: &[Row] = &[
    // Web servers and proxies.
    Row("nginx", "", &["80"]),
    Row("nginxinc/nginx-unprivileged", "", &["8080"]),
    Row("bitnami/nginx", "", &["8080", "8443"]),
    Row("httpd", "", &["80"]),
    Row("caddy", "", &["80", "443", "443/udp", "2019"]),
    Row("traefik", "", &["80"]),
    Row("haproxy", "", &[]),
    Row("envoyproxy/envoy", "", &["10000"]),
    Row("jwilder/nginx-proxy", "", &["80"]),
    Row("nginxproxy/nginx-proxy", "", &["80"]),
    Row("jc21/nginx-proxy-manager", "", &["80", "81", "443"]),
    Row("jrcs/letsencrypt-nginx-proxy-companion", "", &[]),
    Row("ubuntu/squid", "", &["3128"]),
    Row("varnish", "", &["80", "8443"]),
    Row("kong", "", &["8000", "8001", "8443", "8444"]),
    Row("traefik/whoami", "", &["80"]),
    Row("containous/whoami", "", &["80"]),
    Row("jwilder/whoami", "", &["8000"]),
    Row("nginxdemos/hello", "", &["80"]),
    Row("hashicorp/http-echo", "", &["5678"]),
    Row("kennethreitz/httpbin", "", &["80"]),
    Row("docker/getting-started", "", &["80"]),
    Row("docker/welcome-to-docker", "", &["80"]),
    Row("openresty/openresty", "", &["80"]),
    Row("apache/apisix", "", &["9080", "9443"]),
    Row("fabiolb/fabio", "", &["9998", "9999"]),
    // Databases and caches.
    Row("redis", "", &["6379"]),
    Row("redislabs/redismod", "", &["6379"]),
    Row("redis/redis-stack", "", &["6379", "8001"]),
    Row("redis/redis-stack-server", "", &["6379"]),
    Row("valkey/valkey", "", &["6379"]),
    Row("keydb", "", &["6379"]),
    Row("postgres", "", &["5432"]),
    Row("postgis/postgis", "", &["5432"]),
    Row("timescale/timescaledb", "", &["5432"]),
    Row("pgvector/pgvector", "", &["5432"]),
    Row("postgresql", "", &["5432"]),
    Row("pgbouncer", "", &["5432"]),
    Row("mysql", "", &["3306", "33060"]),
    Row("mysql/mysql-server", "", &["3306", "33060", "33061"]),
    Row("mariadb", "", &["3306"]),
    Row("percona", "", &["3306"]),
    Row("mongo", "", &["27017"]),
    Row("mongo-express", "", &["8081"]),
    Row("mongodb-community-server", "", &["27017"]),
    Row("memcached", "", &["11211"]),
    Row("couchdb", "", &["5984", "4369", "9100"]),
    Row("couchbase", "", &["8091", "8092", "8093", "8094", "8095", "8096", "11207", "11210", "11280"]),
    Row("cassandra", "", &["7000", "7001", "7199", "9042", "9160"]),
    Row("scylladb/scylla", "", &["7000", "7001", "9042", "9160", "9180", "10000"]),
    Row("neo4j", "", &["7474", "7473", "7687"]),
    Row("arangodb", "", &["8529"]),
    Row("influxdb", "", &["8086"]),
    Row("clickhouse/clickhouse-server", "", &["8123", "9000", "9009"]),
    Row("clickhouse", "", &["8123", "9000", "9009"]),
    Row("questdb/questdb", "", &["9000", "9009", "8812", "9003"]),
    Row("cockroachdb/cockroach", "", &["26257", "8080"]),
    Row("mcr.microsoft.com/mssql/server", "", &["1433"]),
    Row("mcr.microsoft.com/azure-sql-edge", "", &["1433"]),
    Row("azure-sql-edge", "", &["1433"]),
    Row("mssql-server-linux", "", &["1433"]),
    Row("oracle-xe", "", &["1521"]),
    Row("elasticsearch", "", &["9200", "9300"]),
    Row("opensearchproject/opensearch", "", &["9200", "9300", "9600", "9650"]),
    Row("opensearchproject/opensearch-dashboards", "", &["5601"]),
    Row("kibana", "", &["5601"]),
    Row("logstash", "", &["5044", "9600"]),
    Row("solr", "", &["8983"]),
    Row("getmeili/meilisearch", "", &["7700"]),
    Row("typesense/typesense", "", &["8108"]),
    Row("qdrant/qdrant", "", &["6333", "6334"]),
    Row("etcd", "", &["2379", "2380"]),
    Row("supabase/postgres", "", &["5432"]),
    Row("dragonflydb/dragonfly", "", &["6379"]),
    Row("rethinkdb", "", &["8080", "28015", "29015"]),
    Row("hazelcast/hazelcast", "", &["5701"]),
    Row("surrealdb/surrealdb", "", &["8000"]),
    Row("rqlite/rqlite", "", &["4001", "4002"]),
    Row("dgraph/dgraph", "", &["5080", "6080", "7080", "8080", "9080"]),
    Row("semitechnologies/weaviate", "", &["8080"]),
    Row("chromadb/chroma", "", &["8000"]),
    Row("milvusdb/milvus", "", &["19530", "9091"]),
    Row("memgraph", "", &["7687"]),
    Row("eventstore/eventstore", "", &["1113", "2113"]),
    Row("victoriametrics/victoria-metrics", "", &["8428"]),
    Row("postgrest/postgrest", "", &["3000"]),
    // Queues and coordination.
    Row("rabbitmq", "management", &["4369", "5671", "5672", "15671", "15672", "15691", "15692", "25672"]),
    Row("rabbitmq", "", &["4369", "5671", "5672", "15691", "15692", "25672"]),
    Row("nats", "", &["4222", "6222", "8222"]),
    Row("kafka", "", &["9092"]),
    Row("confluentinc/cp-kafka", "", &["9092"]),
    Row("confluentinc/cp-zookeeper", "", &["2181", "2888", "3888"]),
    Row("confluentinc/cp-schema-registry", "", &["8081"]),
    Row("zookeeper", "", &["2181", "2888", "3888", "8080"]),
    Row("redpanda", "", &["9092", "8081", "8082", "9644"]),
    Row("eclipse-mosquitto", "", &["1883"]),
    Row("activemq-classic", "", &["61616", "5672", "61613", "1883", "61614", "8161"]),
    Row("consul", "", &["8300", "8301", "8301/udp", "8302", "8302/udp", "8500", "8600", "8600/udp"]),
    Row("vault", "", &["8200"]),
    Row("confluentinc/cp-server", "", &["9092"]),
    Row("confluentinc/cp-kafka-rest", "", &["8082"]),
    Row("confluentinc/cp-kafka-connect", "", &["8083", "9092"]),
    Row("confluentinc/cp-ksqldb-server", "", &["8088"]),
    Row("debezium/connect", "", &["8083", "8778"]),
    Row("provectuslabs/kafka-ui", "", &["8080"]),
    Row("obsidiandynamics/kafdrop", "", &["9000"]),
    Row("redpandadata/console", "", &["8080"]),
    Row("apachepulsar/pulsar", "", &["6650", "8080"]),
    Row("emqx/emqx", "", &["1883", "8083", "8084", "8883", "18083"]),
    Row("apache/activemq-artemis", "", &["8161", "61616"]),
    Row("flink", "", &["6123", "8081"]),
    Row("bde2020/hadoop-namenode", "", &["9870"]),
    Row("bde2020/hadoop-datanode", "", &["9864"]),
    Row("bde2020/spark-master", "", &["8080", "7077", "6066"]),
    Row("bde2020/spark-worker", "", &["8081"]),
    Row("temporalio/auto-setup", "", &["7233"]),
    Row("temporalio/server", "", &["7233"]),
    Row("temporalio/ui", "", &["8080"]),
    // Monitoring.
    Row("prom/prometheus", "", &["9090"]),
    Row("prometheus", "", &["9090"]),
    Row("prom/alertmanager", "", &["9093"]),
    Row("prom/node-exporter", "", &["9100"]),
    Row("prom/pushgateway", "", &["9091"]),
    Row("grafana/grafana", "", &["3000"]),
    Row("grafana", "", &["3000"]),
    Row("grafana/loki", "", &["3100"]),
    Row("grafana/tempo", "", &["3200"]),
    Row("cadvisor", "", &["8080"]),
    Row(
        "jaegertracing/all-in-one",
        "",
        &["16686", "14268", "14250", "4317", "4318", "5778", "9411", "6831/udp", "6832/udp"],
    ),
    Row("openzipkin/zipkin", "", &["9410", "9411"]),
    Row("otel/opentelemetry-collector", "", &["4317", "4318", "55679"]),
    Row("netdata/netdata", "", &["19999"]),
    Row("graphite-statsd", "", &["80", "2003", "2004", "2023", "2024", "8125/udp", "8126"]),
    Row("louislam/uptime-kuma", "", &["3001"]),
    Row("prom/blackbox-exporter", "", &["9115"]),
    Row("prom/mysqld-exporter", "", &["9104"]),
    Row("prom/statsd-exporter", "", &["9102", "9125/udp"]),
    Row("oliver006/redis_exporter", "", &["9121"]),
    Row("prometheuscommunity/postgres-exporter", "", &["9187"]),
    Row("grafana/alloy", "", &["12345"]),
    Row("grafana/promtail", "", &["9080"]),
    Row("telegraf", "", &["8125/udp", "8092/udp", "8094"]),
    Row("jaegertracing/jaeger", "", &["16686", "4317", "4318", "14250", "14268", "9411"]),
    Row("otel/opentelemetry-collector-contrib", "", &["4317", "4318", "55679"]),
    Row("fluent/fluentd", "", &["5140", "24224"]),
    Row("fluent/fluent-bit", "", &["2020"]),
    Row("datalust/seq", "", &["80", "5341"]),
    Row("graylog/graylog", "", &["9000"]),
    Row("zabbix/zabbix-agent", "", &["10050"]),
    Row("zabbix/zabbix-java-gateway", "", &["10052"]),
    Row("zabbix/zabbix-web-service", "", &["10053"]),
    Row("zabbix/zabbix-snmptraps", "", &["1162/udp"]),
    Row("zabbix/zabbix-server-mysql", "", &["10051"]),
    Row("zabbix/zabbix-server-pgsql", "", &["10051"]),
    Row("zabbix/zabbix-web-nginx-mysql", "", &["8080", "8443"]),
    Row("zabbix/zabbix-web-nginx-pgsql", "", &["8080", "8443"]),
    Row("zabbix/zabbix-web-apache-mysql", "", &["8080", "8443"]),
    Row("zabbix/zabbix-web-apache-pgsql", "", &["8080", "8443"]),
    Row("amir20/dozzle", "", &["8080"]),
    // Applications.
    Row("wordpress", "cli", &[]),
    Row("wordpress", "fpm", &["9000"]),
    Row("wordpress", "", &["80"]),
    Row("nextcloud", "fpm", &["9000"]),
    Row("nextcloud", "", &["80"]),
    Row("drupal", "fpm", &["9000"]),
    Row("drupal", "", &["80"]),
    Row("joomla", "fpm", &["9000"]),
    Row("joomla", "", &["80"]),
    Row("matomo", "fpm", &["9000"]),
    Row("matomo", "", &["80"]),
    Row("ghost", "", &["2368"]),
    Row("redmine", "", &["3000"]),
    Row("adminer", "fastcgi", &["9000"]),
    Row("adminer", "", &["8080"]),
    Row("phpmyadmin", "fpm", &["9000"]),
    Row("phpmyadmin", "", &["80"]),
    Row("dpage/pgadmin4", "", &["80", "443"]),
    Row("pgadmin4", "", &["80", "443"]),
    Row("gitea/gitea", "", &["22", "3000"]),
    Row("gitea", "", &["22", "3000"]),
    Row("gitlab/gitlab-ce", "", &["22", "80", "443"]),
    Row("gogs", "", &["22", "3000"]),
    Row("minio/minio", "", &["9000"]),
    Row("minio", "", &["9000"]),
    Row("localstack/localstack", "", &["4566"]),
    Row("portainer/portainer-ce", "", &["8000", "9000", "9443"]),
    Row("portainer", "", &["8000", "9000", "9443"]),
    Row("jenkins", "", &["8080", "50000"]),
    Row("sonarqube", "", &["9000"]),
    Row("sonatype/nexus3", "", &["8081"]),
    Row("keycloak", "", &["8080", "8443"]),
    Row("registry", "", &["5000"]),
    Row("vaultwarden/server", "", &["80"]),
    Row("nodered/node-red", "", &["1880"]),
    Row("homeassistant/home-assistant", "", &["8123"]),
    Row("pihole/pihole", "", &["53", "53/udp", "67/udp", "80"]),
    Row("adguard/adguardhome", "", &["53", "53/udp", "80", "443", "3000"]),
    Row("coredns/coredns", "", &["53", "53/udp"]),
    Row("mailhog/mailhog", "", &["1025", "8025"]),
    Row("axllent/mailpit", "", &["1025", "8025"]),
    Row("n8nio/n8n", "", &["5678"]),
    Row("metabase/metabase", "", &["3000"]),
    Row("rocket.chat", "", &["3000"]),
    Row("mattermost-team-edition", "", &["8065"]),
    Row("plexinc/pms-docker", "", &["32400"]),
    Row("linuxserver/wireguard", "", &["51820/udp"]),
    Row("selenium/standalone-chrome", "", &["4444", "5900"]),
    Row("selenium/hub", "", &["4442", "4443", "4444"]),
    Row("hasura/graphql-engine", "", &["8080"]),
    Row("swaggerapi/swagger-ui", "", &["8080"]),
    Row("tomcat", "", &["8080"]),
    Row("jetty", "", &["8080"]),
    Row("php", "fpm", &["9000"]),
    Row("php", "apache", &["80"]),
    Row("ollama/ollama", "", &["11434"]),
    Row("jupyter/base-notebook", "", &["8888"]),
    Row("docker", "dind", &["2375", "2376"]),
    Row("gitlab/gitlab-ee", "", &["22", "80", "443"]),
    Row("sameersbn/gitlab", "", &["22", "80", "443"]),
    Row("drone/drone", "", &["80", "443"]),
    Row("verdaccio/verdaccio", "", &["4873"]),
    Row("jetbrains/teamcity-server", "", &["8111"]),
    Row("odoo", "", &["8069", "8071", "8072"]),
    Row("mediawiki", "", &["80"]),
    Row("requarks/wiki", "", &["3000"]),
    Row("nocodb/nocodb", "", &["8080"]),
    Row("directus/directus", "", &["8055"]),
    Row("outlinewiki/outline", "", &["3000"]),
    Row("umami", "", &["3000"]),
    Row("plausible/community-edition", "", &["8000"]),
    Row("chatwoot/chatwoot", "", &["3000"]),
    Row("appwrite/appwrite", "", &["80"]),
    Row("penpotapp/backend", "", &["6060"]),
    Row("penpotapp/exporter", "", &["6061"]),
    Row("langgenius/dify-api", "", &["5001"]),
    Row("langgenius/dify-web", "", &["3000"]),
    Row("langgenius/dify-sandbox", "", &["8194"]),
    Row("supabase/studio", "", &["3000"]),
    Row("supabase/gotrue", "", &["9999"]),
    Row("supabase/realtime", "", &["4000"]),
    Row("supabase/storage-api", "", &["5000"]),
    Row("supabase/postgres-meta", "", &["8080"]),
    Row("supabase/edge-runtime", "", &["9000"]),
    Row("supabase/logflare", "", &["4000"]),
    Row("immich-app/immich-server", "", &["2283"]),
    Row("immich-app/immich-machine-learning", "", &["3003"]),
    Row("mastodon/mastodon", "", &["3000"]),
    Row("mastodon/mastodon-streaming", "", &["4000"]),
    Row("tootsuite/mastodon", "", &["3000", "4000"]),
    Row("paperless-ngx", "", &["8000"]),
    Row("gotenberg/gotenberg", "", &["3000"]),
    Row("apache/tika", "", &["9998"]),
    Row("guacamole/guacamole", "", &["8080"]),
    Row("guacamole/guacd", "", &["4822"]),
    Row("netboxcommunity/netbox", "", &["8080"]),
    Row("authelia/authelia", "", &["9091"]),
    Row("goauthentik/server", "", &["9000", "9443"]),
    Row("oryd/kratos", "", &["4433", "4434"]),
    Row("oryd/hydra", "", &["4444", "4445"]),
    Row("osixia/openldap", "", &["389", "636"]),
    Row("hyperledger/fabric-peer", "", &["7051"]),
    Row("hyperledger/fabric-orderer", "", &["7050"]),
    Row("hyperledger/fabric-ca", "", &["7054"]),
    Row("matrixdotorg/synapse", "", &["8008", "8009", "8448"]),
    Row("vectorim/element-web", "", &["80"]),
    Row("coturn/coturn", "", &["3478", "3478/udp"]),
    Row("jitsi/web", "", &["80", "443"]),
    Row("jitsi/prosody", "", &["5222", "5280", "5347"]),
    Row("jitsi/jvb", "", &["8080", "10000/udp"]),
    Row("jellyfin/jellyfin", "", &["8096"]),
    Row("emby/embyserver", "", &["8096", "8920"]),
    Row("sonarr", "", &["8989"]),
    Row("radarr", "", &["7878"]),
    Row("lidarr", "", &["8686"]),
    Row("bazarr", "", &["6767"]),
    Row("prowlarr", "", &["9696"]),
    Row("jackett", "", &["9117"]),
    Row("qbittorrent", "", &["8080"]),
    Row("sabnzbd", "", &["8080"]),
    Row("transmission", "", &["9091"]),
    Row("tautulli", "", &["8181"]),
    Row("overseerr", "", &["5055"]),
    Row("qmcgaw/gluetun", "", &["8000", "8388", "8388/udp", "8888"]),
    Row("wg-easy", "", &["51820/udp", "51821"]),
    Row("syncthing/syncthing", "", &["8384", "22000"]),
    Row("filebrowser/filebrowser", "", &["80"]),
    Row("open-webui/open-webui", "", &["8080"]),
    Row("hkotel/mealie", "", &["9000"]),
    Row("sj26/mailcatcher", "", &["1025", "1080"]),
    Row("joplin/server", "", &["22300"]),
    Row("rediscommander/redis-commander", "", &["8081"]),
    Row("redis/redisinsight", "", &["5540"]),
    Row("wiremock/wiremock", "", &["8080"]),
    Row("mockserver/mockserver", "", &["1080"]),
    Row("browserless/chrome", "", &["3000"]),
    Row("code-server", "", &["8443"]),
];

/// The program that an image's arguments are for, where that is a program linkspan has.
#[must_use]
pub fn entrypoint(image: &str) -> Option<&'static str> {
    let (repository, _) = split(image);
    match repository {
        "curlimages/curl" | "alpine/curl" | "appropriate/curl" | "byrnedo/alpine-curl" => Some("curl"),
        _ => None,
    }
}

/// What an image's program listens on, by its name as in `image:`; nothing for one that is not known.
#[must_use]
pub fn listens(image: &str) -> Vec<ListenPort> {
    let (repository, tag) = split(image);
    // Full names win over last parts: `grafana/loki` is not `loki`, and `prom/prometheus` not someone else's.
    let short = repository.rsplit('/').next().unwrap_or(repository);
    let row = ROWS
        .iter()
        .filter(|row| tag.contains(row.1))
        .find(|row| {
            row.0 == repository || row.0.contains('/') && repository.ends_with(&format!("/{}", row.0))
        })
        .or_else(|| ROWS.iter().filter(|row| tag.contains(row.1)).find(|row| row.0 == short));
    row.map(|row| row.2.iter().filter_map(|text| port(text)).collect()).unwrap_or_default()
}

/// Repository without a registry's name kept apart, and tag; a digest is dropped.
fn split(image: &str) -> (&str, &str) {
    let image = image.split('@').next().unwrap_or(image);
    let name_start = image.rfind('/').map_or(0, |at| at + 1);
    let (repository, tag) = match image[name_start..].find(':') {
        Some(at) => (&image[..name_start + at], &image[name_start + at + 1..]),
        None => (image, ""),
    };
    let repository = repository.strip_prefix("docker.io/").unwrap_or(repository);
    (repository.strip_prefix("library/").unwrap_or(repository), tag)
}

fn port(text: &str) -> Option<ListenPort> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some(ListenPort { port: number.parse().ok()?, protocol: protocol.parse::<Protocol>().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(image: &str) -> Vec<String> {
        listens(image).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_row_is_well_formed_and_found() {
        for row in ROWS {
            let image = if row.1.is_empty() { row.0.to_owned() } else { format!("{}:{}", row.0, row.1) };
            let ports = listens(&image);
            assert_eq!(ports.len(), row.2.len(), "{image}");
            assert!(ports.iter().all(|port| port.port > 0), "{image}");
        }
    }

    #[test]
    fn registries_tags_and_digests_do_not_matter() {
        for image in
            ["nginx", "nginx:alpine", "docker.io/library/nginx:1", "r.example:5000/x/nginx@sha256:00"]
        {
            assert_eq!(shown(image), ["80/tcp"], "{image}");
        }
        assert_eq!(shown("mcr.microsoft.com/azure-sql-edge:1.0.4"), ["1433/tcp"]);
        assert_eq!(shown("wordpress:6-fpm-alpine"), ["9000/tcp"]);
        assert_eq!(shown("php:8-cli"), Vec::<String>::new());
        assert_eq!(shown("quay.io/prometheus/prometheus"), ["9090/tcp"]);
        assert_eq!(shown("portainer/portainer-ce:alpine"), ["8000/tcp", "9000/tcp", "9443/tcp"]);
        assert_eq!(shown("docker.elastic.co/kibana/kibana:8.1"), ["5601/tcp"]);
        assert_eq!(entrypoint("docker.io/curlimages/curl:8.5.0"), Some("curl"));
        assert_eq!((entrypoint("nicolaka/netshoot"), entrypoint("curl")), (None, None));
        for image in ["alpine", "busybox", "python:3", "node", "", ":", "/", "@"] {
            assert!(shown(image).is_empty(), "{image}");
        }
    }
}
