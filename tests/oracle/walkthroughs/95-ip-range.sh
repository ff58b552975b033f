#!/bin/sh
# ranges, gateways and auxiliary addresses
# needs: docker host outside dig
. "${ORACLE_LIB:-$(dirname "$0")/../lib.sh}"
docker network create --subnet 10.10.0.0/16 --ip-range 10.10.128.0/30 r1
docker network inspect -f '{{json .IPAM}}' r1
for i in 1 2 3 4; do docker run -itd --name r$i --network r1 busybox; docker inspect -f '{{.NetworkSettings.Networks.r1.IPAddress}} {{.NetworkSettings.Networks.r1.Gateway}}' r$i; done
docker rm -f r1 r2 r3 r4
docker network create --subnet 10.11.0.0/16 --ip-range 10.11.4.0/29 --gateway 10.11.0.1 r2
for i in 1 2 3 4 5 6 7 8 9; do docker run -itd --name s$i --network r2 busybox >/dev/null; docker inspect -f '{{.NetworkSettings.Networks.r2.IPAddress}}' s$i; done
docker run -itd --name fixed --network r2 --ip 10.11.9.9 busybox
docker exec fixed ip addr show eth0
docker run -itd --name fixed2 --network r2 --ip 10.11.4.3 busybox
docker rm -f fixed fixed2
docker rm -f s3
docker run -itd --name s3 --network r2 busybox
docker inspect -f '{{.NetworkSettings.Networks.r2.IPAddress}}' s3
docker network create --subnet 10.12.0.0/24 --aux-address a=10.12.0.2 --aux-address b=10.12.0.3 --gateway 10.12.0.5 r3
docker network inspect -f '{{json .IPAM.Config}}' r3
for i in 1 2 3; do docker run -itd --name t$i --network r3 busybox >/dev/null; docker inspect -f '{{.NetworkSettings.Networks.r3.IPAddress}}' t$i; done
docker run -itd --name t4 --network r3 --ip 10.12.0.2 busybox
docker exec t1 ip route
docker exec t1 ping -c1 -W1 10.12.0.5
docker network create --subnet 10.13.0.0/24 --gateway 10.13.1.1 r4
docker network create --subnet 10.13.0.0/24 --ip-range 10.14.0.0/25 r4
docker network create --subnet 10.13.0.0/24 --aux-address x=10.99.0.1 r4
docker network create --subnet 10.13.0.0/24 --gateway 10.13.0.0 r4
docker network create --subnet 10.13.0.0/24 --gateway 10.13.0.255 r5
docker network create --subnet 10.15.0.0/30 r6
docker run -itd --name u1 --network r6 busybox
docker run -itd --name u2 --network r6 busybox
docker network create --subnet 10.16.0.5/24 r7
docker network inspect -f '{{json .IPAM.Config}}' r7
docker network create --gateway 10.17.0.1 r8
docker network create --ip-range 10.17.0.0/24 r8
docker network create --subnet 10.18.0.0/31 r9
docker network ls
docker rm -f $(docker ps -aq) | wc -l
docker network rm r1 r2 r3 r4 r5 r6 r7 r8 r9
