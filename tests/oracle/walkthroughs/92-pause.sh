#!/bin/sh
# A paused container
# needs: docker host outside
. "${ORACLE_LIB:-$(dirname "$0")/../lib.sh}"
docker network create app
docker network create other
docker run -d --name web --network app -p 8080:80 nginx
docker run -itd --name cl --network app busybox
docker pause web
docker ps --format '{{.Names}} {{.State}} {{.Status}}'
docker exec cl ping -c1 web | tail -3
docker exec cl timeout 2 wget -qO- http://web/
outx timeout 2 busybox wget -qO- http://203.0.113.10:8080/
docker exec web true
docker network connect other web
docker inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{$v.IPAddress}} {{end}}' web
docker network disconnect other web
docker stop -t 1 web
docker unpause web
docker ps -a --format '{{.Names}} {{.State}}'
docker rm web
docker rm -f web
docker rm -f cl
docker network rm app other
