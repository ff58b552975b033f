#!/bin/sh
# addresses come back
# needs: docker host outside dig
. "${ORACLE_LIB:-$(dirname "$0")/../lib.sh}"
docker network create n
for i in 1 2 3 4; do docker run -itd --name c$i --network n busybox > /dev/null; done
for i in 1 2 3 4; do docker inspect -f '{{.NetworkSettings.Networks.n.IPAddress}} {{.NetworkSettings.Networks.n.MacAddress}}' c$i; done
docker stop -t 0 c2
docker inspect -f '{{json .NetworkSettings.Networks.n}}' c2
docker run -itd --name c5 --network n busybox
docker inspect -f '{{.NetworkSettings.Networks.n.IPAddress}}' c5
docker start c2
docker inspect -f '{{.NetworkSettings.Networks.n.IPAddress}}' c2
docker rm -f c1 c3
docker run -itd --name c6 --network n busybox
docker run -itd --name c7 --network n busybox
docker inspect -f '{{.NetworkSettings.Networks.n.IPAddress}}' c6 c7
docker exec c6 ping -c1 -W1 c4
docker exec c4 ip neigh
docker network create m1
docker network create m2
docker network create m3
docker network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' m1 m2 m3
docker network rm m1 m2
docker network create m4
docker network create m5
docker network create --subnet 172.24.0.0/16 m6
docker network create m7
docker network create m8
docker network create m9
docker network inspect -f '{{.Name}} {{range .IPAM.Config}}{{.Subnet}}{{end}}' m4 m5 m6 m7 m8 m9
docker pause c6
docker exec c4 ping -c1 -W1 c6
docker exec c6 true
docker unpause c6
docker kill c6
docker exec c4 ping -c1 -W1 c6
docker start c6
docker exec c4 ping -c1 -W1 c6
docker rm -f $(docker ps -aq) | wc -l
docker network prune -f | sort
