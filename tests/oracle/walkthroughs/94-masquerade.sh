#!/bin/sh
# no masquerade
# needs: docker host outside dig
. "${ORACLE_LIB:-$(dirname "$0")/../lib.sh}"
docker network create --subnet 10.51.1.0/24 -o com.docker.network.bridge.enable_ip_masquerade=false -o com.docker.network.bridge.name=br-nomasq nomasq
docker network create --subnet 10.51.2.0/24 -o com.docker.network.bridge.name=br-masq masq
rules nat
rules filter
docker run -itd --name cn --network nomasq busybox
docker run -itd --name cm --network masq busybox
docker exec cn ping -c1 -W1 203.0.113.1
docker exec cn ping -c1 -W1 203.0.113.10
docker exec cn ping -c1 -W1 10.51.1.1
docker exec cn ping -c1 -W1 10.51.2.1
docker exec cm ping -c1 -W1 203.0.113.1
docker exec cm timeout 3 wget -qO- http://198.51.100.7/
docker exec cn timeout 3 wget -qO- http://198.51.100.7/
outx ip route add 10.51.1.0/24 via 203.0.113.10
docker exec cn timeout 3 wget -qO- http://198.51.100.7/
docker exec cn ping -c1 -W1 203.0.113.1
docker run -d --name web --network nomasq -p 8080:80 nginx
rules nat
outx timeout 2 busybox wget -qO- http://203.0.113.10:8080/
outx timeout 2 busybox wget -qO- http://10.51.1.3/
outx busybox ping -c1 -W1 10.51.1.2
docker exec cm timeout 2 wget -qO- http://203.0.113.10:8080/
docker exec cn timeout 2 wget -qO- http://203.0.113.10:8080/
docker exec web timeout 2 wget -qO- http://203.0.113.10:8080/
hostx timeout 2 busybox wget -qO- http://10.51.1.3/
hostx timeout 2 busybox wget -qO- http://127.0.0.1:8080/
outx ip route del 10.51.1.0/24
docker rm -f cn cm web
docker network rm nomasq masq
rules nat
