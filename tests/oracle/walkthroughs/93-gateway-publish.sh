#!/bin/sh
# The gateway network publishes
# needs: docker host outside
. "${ORACLE_LIB:-$(dirname "$0")/../lib.sh}"
docker network create zeta
docker network create alpha
docker network create --internal inn
docker run -d --name web --network zeta -p 8080:80 -p 80 nginx
docker port web
docker network connect alpha web
docker port web
rules nat | grep DNAT | sed 's/br-[0-9a-f]*/BR/g'
docker exec web ip route
docker network disconnect alpha web
docker port web
docker network connect inn web
docker network disconnect zeta web
docker port web
hostx timeout 2 busybox wget -qO- http://127.0.0.1:8080/
outx timeout 2 busybox wget -qO- http://203.0.113.10:8080/
docker exec web ip route
docker network connect alpha web
docker port web
docker exec web ip -4 -o addr | sort
docker inspect -f '{{json .NetworkSettings.Ports}}' web
docker restart -t 0 web
docker port web
docker exec web ip -4 -o addr | sort
docker exec web cat /etc/hosts | sort
docker rm -f web
docker run -d --name in2 --network inn -p 8081:80 nginx
docker port in2
docker network connect bridge in2
docker port in2
docker exec in2 ip route
docker rm -f in2
docker network rm zeta alpha inn
