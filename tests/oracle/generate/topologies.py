#!/usr/bin/env python3
"""topologies.py FOLDER SEED...: write FOLDER/rNNN.json, the random topology of each seed, in the format of env/matrix.py.

A seed always gives the same topology: the random numbers are splitmix64, not those of a Python version. What is drawn is
what Docker 20.10 and the profiles have in common: bridge and macvlan networks with their options, containers on none, one
or several networks, static addresses, aliases, links, published ports, the daemon's switches, and steps afterwards
(connect, disconnect, restart, stop and start).

What a real engine does differently from run to run is not drawn:
* a name that containers of different kinds or several networks share: its addresses are shuffled in every answer;
* a container whose start fails: the engine prints a random id before the reason;
* a container that does not run when it is measured: all there would be to read is that nothing can be executed in it;
* two containers that wait for an address and start at once (restart policies): who is first is a race;
* a container on several networks with a host port that the engine chooses: it joins them in random order at every start,
  and each time its gateway moves its ports are published anew, with the next number;
* a router without a route: its ICMP errors are limited in rate, so that a probe ends at once or times out by how many others
  are under way. The LAN's router knows no docker subnet; beside bridges a macvlan network is therefore internal, or
  its gateway is an address that nobody has.
"""
import json, os, sys

MASK = (1 << 64) - 1


class Random:
    def __init__(self, seed):
        self.state = seed
        self.state = self.next()        # seeds are neighbours, their streams must not be

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, n):
        return self.next() % n

    def chance(self, percent):
        return self.below(100) < percent

    def pick(self, items):
        return items[self.below(len(items))]

    def some(self, items, percent):
        return [item for item in items if self.chance(percent)]


DAEMONS = [
    "--userland-proxy=false",
    "--icc=false",
    "--iptables=false",
    "--ip-masq=false",
    "--ip-forward=false",
    "--mtu=1300",
    "--ip=192.168.50.2",
    "--ip=127.0.0.1",
    "--bip=10.99.0.1/24",
    "--bip=10.99.0.1/24 --fixed-cidr=10.99.0.128/25",
    "--default-address-pool base=10.200.0.0/16,size=24",
    "--default-address-pool base=10.200.0.0/16,size=28 --default-address-pool base=10.201.0.0/16,size=24",
    "--userland-proxy=false --icc=false",
    "--userland-proxy=false --ip=203.0.113.10",
    "--userland-proxy=false --ip-masq=false",
    "--icc=false --ip-masq=false",
    "--iptables=false --ip-masq=false",
    "--iptables=false --userland-proxy=false",
    "--dns=203.0.113.53 --dns-search=example.test",
    "--bridge=none",
]
NETWORKS = ["app", "back", "core", "data", "edge", "front", "zone"]
CONTAINERS = ["api", "bot", "cache", "db", "etl", "feed", "gate", "hub"]
ADDRESSES = ["", "", "", "127.0.0.1:", "203.0.113.10:", "192.168.50.2:", "0.0.0.0:"]
REFUSED = [
    ("clash", "--subnet 172.17.4.0/24", False),
    ("twice", "--subnet 10.60.0.0/24 --subnet 10.61.0.0/24", True),
    ("tiny", "--subnet 10.62.0.0/32", True),
    ("sixes", "--ipv6", True),
    ("odd", "-o com.docker.network.driver.mtu=abc", True),
    ("maybe", "-o com.docker.network.bridge.enable_icc=maybe", True),
    ("nogw", "--subnet 10.63.0.0/24 --gateway 10.64.0.1", True),
    ("far", "--subnet 10.65.0.0/24 --ip-range 10.66.0.0/25", True),
    ("strange", "-d nosuch", True),
]


class Network:
    """A network as drawn; `prefix` is the first three numbers of its /24 and `six` its IPv6 prefix, if it was given one."""

    def __init__(self, name):
        self.name, self.args, self.prefix, self.six = name, [], None, None
        self.static = 50


def macvlan(r, name, alone):
    n = Network(name)
    n.prefix = "192.168.50"
    n.args = ["-d macvlan", "--subnet 192.168.50.0/24", "--ip-range 192.168.50.128/25", "-o parent=lan0"]
    kind = r.pick(["gateway", "gateway", "internal"] if alone else ["silent", "internal"])
    n.args.append({"gateway": "--gateway 192.168.50.1", "silent": "--gateway 192.168.50.250", "internal": "--internal"}[kind])
    mode = r.pick(["", "", "bridge", "private", "vepa"])
    if mode:
        n.args.append("-o macvlan_mode=" + mode)
    return n


def network(r, name, index):
    n = Network(name)
    if r.chance(60):
        n.prefix = "10.%d.%d" % (40 + index, r.below(200))
        n.args.append("--subnet %s.0/24" % n.prefix)
        if r.chance(25):
            n.args.append("--gateway %s.%d" % (n.prefix, r.pick([1, 9, 200, 254])))
        elif r.chance(30):
            n.args.append("--ip-range %s.%s" % (n.prefix, r.pick(["128/25", "16/28", "0/26"])))
        if r.chance(15):
            n.args.append("--aux-address spare=%s.%d" % (n.prefix, r.pick([2, 3, 129])))
    if r.chance(18):
        n.args.append("--internal")
    if r.chance(14):
        n.args.append("-o com.docker.network.bridge.enable_icc=false")
    if r.chance(10):
        n.args.append("-o com.docker.network.bridge.enable_ip_masquerade=false")
    if r.chance(12):
        n.args.append("-o com.docker.network.driver.mtu=%d" % r.pick([1200, 1400, 9000]))
    if r.chance(10):
        n.args.append("-o com.docker.network.bridge.host_binding_ipv4=%s" % r.pick(["127.0.0.1", "192.168.50.2"]))
    if r.chance(12):
        n.args.append("-o com.docker.network.bridge.name=br%s" % name)
    if r.chance(14):
        n.six = "fd00:%d::" % (40 + index)
        n.args.append("--ipv6 --subnet %s/64" % n.six)
    if r.chance(8):
        n.args.append("-o com.docker.network.container_iface_prefix=nic")
    return n


def publish(r, ports, chosen):
    """A `-p`; no host port is used twice, and 80 belongs to a container of the host's network. `chosen`: the engine may choose."""
    kind = r.below(10)
    if kind in (0, 1, 5) and not chosen:
        kind = 9
    if kind == 0:
        return "-p 80"
    if kind == 1:
        return "-p %s:80" % (r.pick(["127.0.0.1", "203.0.113.10"]) + ":")
    base = 8080 + 10 * len(ports)
    ports.append(base)
    address = r.pick(ADDRESSES)
    if kind == 2:
        return "-p %s%d-%d:80-81" % (address, base, base + 1)
    if kind == 3:
        return "-p %s%d:81" % (address, base)
    if kind == 4:
        return "-p %s%d:53/udp" % (address, base)
    if kind == 5:
        return "-p %s%d-%d:80" % (address, base, base + 3)
    return "-p %s%d:80" % (address, base)


def topology(seed):
    r = Random(seed)
    daemon = r.pick(DAEMONS) if r.chance(45) else ""
    bridgeless = "--bridge=none" in daemon
    networks = []
    names = list(NETWORKS)
    lan = r.pick(["alone", "beside"]) if r.chance(18) else ""
    if lan:
        networks.append(macvlan(r, names.pop(r.below(len(names))), lan == "alone"))
    if lan != "alone":
        for index in range(1 + r.below(3 - len(networks))):
            networks.append(network(r, names.pop(r.below(len(names))), index))
    described = [{"name": n.name, "args": " ".join(n.args)} for n in networks]
    if r.chance(12):
        name, args, anywhere = r.pick(REFUSED)
        if anywhere or not daemon:
            described.append({"name": name, "args": args})

    containers, ports, steps = [], [], []
    on = {}                             # container -> names of its networks, in the order they were asked for
    modes, hosts = {}, False
    free = list(CONTAINERS)
    for _ in range(3 + r.below(4)):
        name = free.pop(0)
        image = r.pick(["nginx", "nginx", "busybox"])
        c = {"name": name}
        args = []
        mode = r.below(100)
        shared = [x["name"] for x in containers if modes[x["name"]] == "net"]
        if mode < 5 and not hosts:
            hosts = True
            args, modes[name], on[name] = ["--network host"], "host", []
        elif mode < 9:
            args, modes[name], on[name] = ["--network none"], "none", []
        elif mode < 14 and shared:
            args, modes[name], on[name] = ["--network container:" + r.pick(shared)], "container", []
            image = "busybox"           # two servers of one port in one namespace: the second does not stay up
        elif mode < 30 and not bridgeless and lan != "alone":
            modes[name], on[name] = "net", ["bridge"]
            also = r.some(networks, 20)
            if also:
                c["also"] = [n.name for n in also]
                on[name] += c["also"]
        else:
            first = r.pick(networks)
            modes[name], on[name] = "net", [first.name]
            args.append("--network " + first.name)
            if first.prefix and r.chance(25):
                args.append("--ip %s.%d" % (first.prefix, first.static))
                first.static += 1
            if first.six and r.chance(25):
                args.append("--ip6 %s%x" % (first.six, 0x50 + len(containers)))
            if r.chance(25):
                alias = name + "-svc"
                args.append("--network-alias " + alias)
                c["names"] = [alias, alias + "." + first.name]
            others = [n for n in networks if n is not first]
            also = r.some(others, 30)
            if not bridgeless and lan != "alone" and r.chance(8):
                also.append(None)
            if also:
                c["also"] = [n.name if n else "bridge" for n in also]
                on[name] += c["also"]
        if modes[name] == "net":
            if r.chance(35):
                for _ in range(1 + r.below(2)):
                    args.append(publish(r, ports, len(on[name]) == 1))
            elif len(on[name]) == 1 and r.chance(12):
                args.append("-P")
            if r.chance(10):
                args.append("--expose %s" % r.pick(["81", "9000/udp", "7000-7002"]))
            if r.chance(10):
                args.append("--hostname %s" % r.pick(["node.example.test", "box" + name]))
            neighbours = [x for x in on if x != name and modes.get(x) == "net" and on[x][0] == on[name][0]]
            if neighbours and r.chance(20):
                other = r.pick(neighbours)
                args.append("--link %s:%s-link" % (other, other))
                for x in containers:
                    if x["name"] == other and other + "-link" not in x.get("names", []):
                        x.setdefault("names", []).append(other + "-link")
            if r.chance(8):
                args.append("--dns 203.0.113.53")
            if r.chance(6):
                args.append("--add-host there:198.51.100.7")
        c["image"] = image
        if args:
            c["args"] = " ".join(args)
        containers.append(c)

    if r.chance(45):
        steps = changes(r, networks, containers, on, modes)
    t = {"note": note(daemon, networks, containers, steps)}
    if daemon:
        t["daemon"] = daemon
    t["networks"], t["containers"] = described, containers
    if steps:
        t["steps"] = steps
    return t


def changes(r, networks, containers, on, modes):
    """What happens after the start: networks joined and left, containers that stop and come back."""
    steps = []
    shared = {x.split("container:")[1].split()[0] for x in (c.get("args", "") for c in containers) if "container:" in x}
    for _ in range(1 + r.below(3)):
        movable = [c["name"] for c in containers if modes[c["name"]] == "net"]
        if not movable:
            return steps
        name = r.pick(movable)
        what = r.below(6)
        away = [n.name for n in networks if n.name not in on[name]]
        chosen = any(c["name"] == name and engine_chooses(c.get("args", "")) for c in containers)
        if what <= 1 and away and not chosen:
            target = r.pick(away)
            extra = r.pick(["", "--alias %s-too " % name])
            steps.append("docker network connect %s%s %s" % (extra, target, name))
            on[name].append(target)
        elif what == 2 and len(on[name]) > 1:
            target = on[name].pop(r.below(len(on[name])))
            steps.append("docker network disconnect %s %s" % (target, name))
        elif what == 3 and name not in shared:
            steps.append("docker restart -t 0 " + name)
        elif what == 4 and name not in shared:
            steps += ["docker stop -t 0 " + name, "docker start " + name]
        elif what == 5:
            others = [x for x in movable if x != name and x not in shared]
            if others and name not in shared:
                other = r.pick(others)
                steps += ["docker stop -t 0 %s %s" % (name, other), "docker start " + other, "docker start " + name]
    return steps


def engine_chooses(args):
    """Whether a host port of a container is one the engine picks."""
    words = args.split()
    ports = [words[i + 1] for i, word in enumerate(words) if word == "-p"]
    return "-P" in words or any(len(p.split(":")) == 1 or "::" in p or "-" in p.rsplit(":", 2)[-2] for p in ports)


def note(daemon, networks, containers, steps):
    words = ["%d networks" % len(networks) if len(networks) > 1 else "one network", "%d containers" % len(containers)]
    if daemon:
        words.append("dockerd " + daemon)
    if steps:
        words.append("then changes")
    return "drawn: " + ", ".join(words)


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for seed in map(int, sys.argv[2:]):
        with open(os.path.join(folder, "r%03d.json" % seed), "w") as f:
            json.dump(topology(seed), f, indent=1)
            f.write("\n")


main()
