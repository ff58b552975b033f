#!/bin/sh
# aliases in several networks
# needs: docker host outside dig
. "${ORACLE_LIB:-$(dirname "$0")/../lib.sh}"
docker network create alpha
docker network create zeta
docker run -itd --name both --network alpha --network-alias svc busybox
docker network connect --alias svc --alias second zeta both
docker run -itd --name target --network alpha busybox
docker run -itd --name other --network zeta --network-alias target busybox
docker exec both ping -c1 -W1 target
digc both target +short
digc both target.zeta +short
digc both target.alpha +short
digc both svc +short | sort
digc both second +short
docker run -itd --name onlyz --network zeta busybox
digc onlyz svc +short
digc onlyz second +short
digc onlyz target +short
docker network disconnect alpha both
digc both target +short
docker network connect alpha both
digc both target +short
digc both svc +short | sort
digc both -x $(docker inspect -f '{{.NetworkSettings.Networks.alpha.IPAddress}}' target) +short
digc both -x $(docker inspect -f '{{.NetworkSettings.Networks.zeta.IPAddress}}' other) +short
docker inspect -f '{{json .NetworkSettings.Networks.alpha.Aliases}} {{json .NetworkSettings.Networks.zeta.Aliases}}' both | sed 's/"[0-9a-f]\{12\}"/ID/g'
docker network connect --alias web bridge both
docker run -itd --name nope --network-alias web busybox
docker rename other renamed
digc both renamed +short
digc both other +short
docker exec both nslookup renamed
docker restart -t 0 both
digc both target.alpha +short
docker rm -f $(docker ps -aq) | wc -l
docker network rm alpha zeta
