#!/bin/sh
# links on user networks
# needs: docker host outside dig
. "${ORACLE_LIB:-$(dirname "$0")/../lib.sh}"
docker network create app
docker network create side
docker run -itd --name db --network app -e SECRET=1 busybox
docker run -itd --name linker --network app --link db:database busybox
docker run -itd --name plain --network app busybox
docker exec linker ping -c1 -W1 database
docker exec linker ping -c1 -W1 db
docker exec plain ping -c1 -W1 database
docker exec linker env
docker exec linker cat /etc/hosts
docker run -itd --name early --network app --link late:tardy busybox
docker exec early ping -c1 -W1 tardy
docker run -itd --name late --network app busybox
docker exec early ping -c1 -W1 tardy
docker exec early nslookup tardy
docker network connect --link db:store side linker
docker exec linker ping -c1 -W1 store
docker network connect side db
docker exec linker ping -c1 -W1 store
docker exec linker nslookup store
docker exec plain ping -c1 -W1 store
docker inspect -f '{{json .HostConfig.Links}} {{json .NetworkSettings.Networks.app.Links}} {{json .NetworkSettings.Networks.side.Links}}' linker
docker ps --format '{{.Names}}' | sort
docker rename db dbnew
docker exec linker ping -c1 -W1 database
docker exec linker ping -c1 -W1 dbnew
docker rename dbnew db
docker stop -t 0 db
docker exec linker ping -c1 -W1 database
docker start db
docker exec linker ping -c1 -W1 database
docker restart -t 0 linker
docker exec linker ping -c1 -W1 database
docker exec linker ping -c1 -W1 store
docker rm --link /linker/database
docker run -itd --name bad --network app --link db: busybox
docker run -itd --name bad --network app --link :db busybox
docker run -itd --name bad2 --network app --link db:a --link late:a busybox
docker exec bad2 nslookup a
docker run -itd --name mixed --network bridge --link db busybox
docker network disconnect app db
docker exec linker ping -c1 -W1 database
docker rm -f $(docker ps -aq) | wc -l
docker network rm app side
