#!/bin/sh
# Refusals
# needs: docker host
. "${ORACLE_LIB:-$(dirname "$0")/../lib.sh}"
docker network create -o com.docker.network.bridge.gateway_mode_ipv4=bogus gm
docker network create -o com.docker.network.bridge.gateway_mode_ipv4=isolated gm2
docker network create -d macvlan --subnet 192.168.50.0/24 -o parent=lan0 m1
docker network create -d macvlan --subnet 192.168.52.0/24 -o parent=lan0 -o macvlan_mode=passthru m3
docker network create -d macvlan --subnet 192.168.53.0/24 -o parent=eth0 -o macvlan_mode=passthru m4
docker network create -d macvlan --subnet 192.168.54.0/24 -o parent=eth0 m5
docker network rm m4
docker network create -d macvlan --subnet 192.168.55.0/24 -o parent=nosuch.10 m6
docker network create -d macvlan --subnet 192.168.55.0/24 -o parent=nosuch m6
docker network create -d macvlan --subnet 192.168.55.0/24 -o parent=lo m6
docker network create -d ipvlan --subnet 192.168.55.0/24 -o parent=nosuch.10 m7
docker network create -d ipvlan --subnet 192.168.55.0/24 -o parent=lo m7
docker network create -d ipvlan --subnet 192.168.56.0/24 -o parent=eth0 -o ipvlan_flag=bogus m8
docker network create -d macvlan --subnet 192.168.55.0/24 -o parent=lan0.0 m9
docker network create -d macvlan --subnet 192.168.55.0/24 -o parent=lan0.x m9
docker network create -d macvlan --subnet 192.168.55.0/24 -o parent=a.b.c m9
docker run -d --name web nginx
docker run -d --name hh --network host busybox sleep 600
docker network connect host web
docker network disconnect host hh
docker network connect none web
docker network disconnect none web
docker network create --subnet 10.0.0.1/8 hb
docker network rm hb
docker network create --subnet 10.1.0.0/16 --gateway 10.1.0.1 --gateway 10.1.0.2 mg
docker network create --subnet 10.1.0.0/16 --subnet 10.2.0.0/16 --gateway 10.1.0.1 --gateway 10.1.0.2 mg
docker network create --subnet 10.1.0.0/16 --subnet 10.2.0.0/16 --ip-range 10.1.0.0/24 --ip-range 10.1.1.0/24 mg
docker network create --subnet 10.1.0.0/16 --ip-range 10.2.0.0/24 mg
docker network create --subnet 10.1.0.0/16 --aux-address a=10.2.0.1 mg
docker network create --subnet 10.1.0.0/16 --aux-address a=bogus mg
docker network create --subnet 10.1.0.0/16 --aux-address bogus mg
docker network create --subnet 10.1.0.0/16 --subnet 10.1.2.0/24 mg
docker network create --subnet 10.1.0.0/16 --gateway 10.1.0.0 mg
docker network rm mg
docker network create --subnet 10.1.0.0/16 --gateway 10.1.255.255 mg
docker network rm mg
docker network create --subnet 10.1.0.0/24 --gateway bogus mg
docker network create --subnet 10.1.0.0/24 --ip-range 10.1.0.0/16 mg
docker network rm mg
docker network create --ipam-driver nosuch mg
docker network create --ipam-driver null mg
docker network create -o com.docker.network.driver.mtu=-1 mg
docker network create -o com.docker.network.bridge.enable_ip_masquerade=x mg
docker network create -o com.docker.network.bridge.inhibit_ipv4=x mg
docker network create -o com.docker.network.host_ipv4=x mg
docker network create --ipv6 --subnet fe80::/60 v6a
docker network create --ipv6 --subnet fe80::/64 v6b
docker network create --ipv6 --subnet ff00::/64 v6c
docker network create --ipv6 --subnet fd00:1::/64 --subnet fd00:2::/64 v6d
docker network create --subnet fd00:3::/64 v6e
docker network create --ipv6 --subnet fd00:4::/64 --gateway fd00:5::1 v6f
docker network create --subnet 127.0.0.0/8 loop
docker network create --subnet 0.0.0.0/0 all
docker network create --subnet 224.0.0.0/24 mc
docker network create -o com.docker.network.bridge.name=eth0 onnic
docker network create -o com.docker.network.bridge.name=lo onlo
docker network create -o com.docker.network.container_iface_prefix=eth.bad pre
docker network create --label '' lab
docker network create -d '' nodriver
docker network create -d bridge:latest tagged
docker network connect --ip 1.2.3 m1 web
docker network connect --ip6 fd00::1 m1 web
docker network connect --ip 192.168.99.1 m1 web
docker network connect --alias xx bridge web
docker network connect --link nosuch:yy m1 web
docker network connect bridge nosuch
docker network disconnect bridge nosuch
docker network disconnect nosuch web
docker network rm
docker network create
docker network frobnicate
docker run -d --network container:web --add-host aa:1.2.3.4 busybox
docker run -d --network container:web --link hh busybox
docker run -d --network container:web --expose 80 busybox
docker run -d --network container:web -P busybox
docker run -d --network container:web --dns-search xx busybox
docker run -d --network container:web --network-alias xx busybox
docker run -d --network container:web --ip 1.2.3.4 busybox
docker run -d --network host --link web busybox
docker run -d --network host --hostname xx --name hx busybox sleep 600
docker run -d --network host --network-alias xx busybox
docker run -d --network none --network-alias xx busybox
docker run -d --network none --ip 1.2.3.4 busybox
docker run -d --network none --link web busybox
docker run -d --network container: busybox
docker run -d --network container:hx --name hy busybox sleep 600
docker run -d --link web:aa:bb busybox
docker run -d --link nosuch busybox
docker run -d --link hh busybox
docker run -d --ip bogus busybox
docker run -d --hostname 'bad_name!' --name bn busybox sleep 600
docker run -d --hostname aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa busybox
docker run -d --name web nginx
docker run -d --name 'bad name' nginx
docker run -d --restart bogus nginx
docker run -d --restart on-failure:x nginx
docker run -d --rm --restart always nginx
docker run -d --expose 70000 nginx
docker run -d --expose 80-70 nginx
docker run -d --expose abc nginx
docker run -d -p 80:80:80:80 nginx
docker run -d -p 1.2.3:80:80 nginx
docker run -d -p :80 --name p1 nginx
docker run -d -p 127.0.0.1: nginx
docker run -d -p '' nginx
docker run -d -p 80/tcp/udp nginx
docker run -d -p 8000-7000:80 nginx
docker run -d --sysctl foo=bar busybox
docker run -d --sysctl net.ipv4.ip_forward --name sc busybox sleep 600
docker run -d --network host --sysctl net.ipv4.ip_forward=1 busybox
docker run -d --cap-add BOGUS busybox
docker run -d --dns bogus busybox
docker run -d --add-host aa=1.2.3.4 --name ah busybox sleep 600
docker run -d --link-local-ip bogus --network m1 busybox
docker run -d --bogus busybox
docker run -d --network
docker run
docker start nosuch
docker start web nosuch
docker stop nosuch
docker restart nosuch
docker rename web hh
docker rename web 'bad name'
docker rename web web
docker rm web
docker rm nosuch
docker rm -f nosuch
docker kill nosuch
docker kill -s BOGUS web
docker pause nosuch
docker unpause web
docker pause web
docker pause web
docker exec web ls
docker network disconnect bridge web
docker network connect bridge web
docker unpause web
docker wait nosuch
docker logs nosuch
docker port nosuch
docker port web 80/icmp
docker port web abc
docker inspect nosuch
docker inspect --type network nosuch
docker inspect --type container nosuch
docker network inspect web
docker network inspect -f '{{.Bogus}}' bridge
docker network inspect -f '{{' bridge
docker network ls --filter bogus
docker network ls --filter driver=bridge --filter name=bridge -q --no-trunc | wc -l
docker ps --filter bogus=1
docker ps --format '{{.Bogus}}'
docker rm -f web hh hx hy bn p1 sc ah
