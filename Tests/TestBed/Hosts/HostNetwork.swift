import Foundation
import Glibc
import Synchronization

/// Hosts on one machine: a network namespace for each, joined by a central one that routes between them. Needs root and
/// iproute2. A cut is a blackhole rule in the central namespace: packets vanish without a word, as they do when a switch
/// or a host loses its power.
///
/// The addresses are of 198.18.0.0/15, which is kept for such measurements; this process reaches every host as well, by
/// a link of its own that no cut between hosts touches.
public final class HostNetwork: Sendable {
    /// One direction of the way between two hosts; nil stands for everybody.
    public struct Way: Sendable, Hashable {
        public var from: String?
        public var to: String?
        public init(from: String?, to: String?) {
            self.from = from
            self.to = to
        }
    }

    /// A host of every network that belongs to nobody at first.
    static let spare = "spare"

    private let number: Int
    private let lock: Int32
    /// Removed last of all, with the namespaces that it names.
    private let folder: GuardedFolder
    private let places: [String: Place]
    /// As `ip netns` knows them.
    public let namespaces: [String]
    private let cuts = Mutex<Set<Way>>([])

    private var centre: String { "rw\(number)-c" }

    /// Whether this machine and this user may have one.
    public static let isPossible: Bool = {
        guard geteuid() == 0, Place.nsenter != nil, ipProgram != nil else { return false }
        let name = "rw-try-\(getpid())"
        guard (try? ip(["netns", "add", name])) != nil else { return false }
        return (try? ip(["netns", "del", name])) != nil
    }()

    private static let ipProgram = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }
    private static let tcProgram = ["/usr/sbin/tc", "/sbin/tc", "/usr/bin/tc"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    public init(hosts: [String]) throws {
        guard hosts.count < 60 else { throw TestBedError("too many hosts for one /24") }
        (number, lock) = try Self.takeNumber()
        folder = try GuardedFolder("net")
        let number = number
        let centre = "rw\(number)-c"
        // Noted before they are made, so that whoever clears up knows all of them.
        namespaces = [centre] + hosts.map { "rw\(number)-\($0)" }
        try folder.write("namespaces", namespaces.joined(separator: "\n") + "\n")
        try Self.ip(["netns", "add", centre])
        try Self.ip(["link", "add", "rw\(number)", "type", "veth", "peer", "name", "outside", "netns", centre])
        try Self.ip(["addr", "add", "198.18.\(number).1/30", "dev", "rw\(number)"])
        try Self.ip(["link", "set", "rw\(number)", "up"])
        try Self.ip(["-n", centre, "addr", "add", "198.18.\(number).2/30", "dev", "outside"])
        try Self.ip(["-n", centre, "link", "set", "outside", "up"])
        try Self.ip(["route", "add", "198.18.\(number).0/24", "via", "198.18.\(number).2"])
        let forwarding = try captured(
            Place.nsenter ?? "",
            ["--net=/run/netns/\(centre)", "--", "/bin/sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], errors: true
        )
        guard forwarding.status == 0 else {
            throw TestBedError("no forwarding: \(String(decoding: forwarding.output, as: UTF8.self))")
        }
        var places: [String: Place] = [:]
        for (index, host) in hosts.enumerated() {
            let namespace = "rw\(number)-\(host)"
            let (gateway, own) = ("198.18.\(number).\(4 * index + 5)", "198.18.\(number).\(4 * index + 6)")
            try Self.ip(["netns", "add", namespace])
            try Self.ip([
                "-n", centre, "link", "add", "to-\(host)", "type", "veth", "peer", "name", "eth0", "netns", namespace,
            ])
            try Self.ip(["-n", centre, "addr", "add", "\(gateway)/30", "dev", "to-\(host)"])
            try Self.ip(["-n", centre, "link", "set", "to-\(host)", "up"])
            try Self.ip(["-n", namespace, "addr", "add", "\(own)/30", "dev", "eth0"])
            try Self.ip(["-n", namespace, "link", "set", "eth0", "up"])
            try Self.ip(["-n", namespace, "link", "set", "lo", "up"])
            try Self.ip(["-n", namespace, "route", "add", "default", "via", gateway])
            places[host] = Place(address: own, namespace: namespace)
        }
        self.places = places
    }

    deinit { close(lock) }

    /// Removes the namespaces. Whatever ran in them must have ended.
    func clear() async { await folder.clear() }

    public func place(_ host: String) throws -> Place {
        guard let place = places[host] else { throw TestBedError("no host \(host)") }
        return place
    }

    /// From now on every packet that goes one of these ways vanishes.
    public func cut(_ ways: [Way]) throws {
        for way in ways where !cuts.withLock({ $0.contains(way) }) {
            try Self.ip(["-n", centre, "rule", "add"] + rule(way))
            _ = cuts.withLock { $0.insert(way) }
        }
    }

    /// Both directions between the hosts of one side and those of the other.
    public func cut(_ side: [String], from other: [String]) throws {
        try cut(side.flatMap { one in other.flatMap { [Way(from: one, to: $0), Way(from: $0, to: one)] } })
    }

    /// Every packet from and to this host.
    public func isolate(_ host: String) throws {
        try cut([Way(from: host, to: nil), Way(from: nil, to: host)])
    }

    public func heal() throws {
        for way in cuts.withLock({ $0 }) {
            try Self.ip(["-n", centre, "rule", "del"] + rule(way))
            _ = cuts.withLock { $0.remove(way) }
        }
    }

    /// Gives a host a server's address: whatever connects to the server there from now on reaches whoever listens in that
    /// host's namespace (`FaultProxy`), and sessions of before are reset.
    func divert(_ server: String, on host: String) throws {
        try Self.ip(["-n", try namespace(host), "addr", "add", "\(try place(server).address)/32", "dev", "lo"])
    }

    func divertNoMore(_ server: String, on host: String) throws {
        try Self.ip(["-n", try namespace(host), "addr", "del", "\(try place(server).address)/32", "dev", "lo"])
    }

    func namespace(_ host: String) throws -> String { try place(host).namespace ?? "" }

    private func rule(_ way: Way) throws -> [String] {
        let from = try way.from.map { try place($0).address } ?? "all"
        let to = try way.to.map { ["to", try place($0).address] } ?? []
        return ["pref", "100", "from", from] + to + ["blackhole"]
    }

    /// Makes the link to a host bad in both directions: half of the packets lost and the rest late where the kernel can
    /// do so (netem), otherwise far too narrow, with a long queue that overflows (tbf).
    /// - Returns: which of the two it became.
    public func spoil(_ host: String) throws -> String {
        guard let tc = Self.tcProgram else { throw TestBedError("no tc") }
        let (links, kinds) = (
            [(centre, "to-\(host)"), (try place(host).namespace ?? "", "eth0")],
            [
                ("netem, 50 % lost, 200 ms late", ["netem", "loss", "50%", "delay", "200ms"]),
                ("tbf, 64 kbit/s, queue of 1 s", ["tbf", "rate", "64kbit", "burst", "1600", "latency", "1s"]),
            ]
        )
        for (name, arguments) in kinds {
            let results = try links.map { link in
                try captured(tc, ["-n", link.0, "qdisc", "replace", "dev", link.1, "root"] + arguments).status
            }
            if results.allSatisfy({ $0 == 0 }) { return name }
            try unspoil(host)
        }
        throw TestBedError("the kernel has neither netem nor tbf")
    }

    public func unspoil(_ host: String) throws {
        guard let tc = Self.tcProgram else { return }
        for (namespace, link) in [(centre, "to-\(host)"), (try place(host).namespace ?? "", "eth0")] {
            _ = try captured(tc, ["-n", namespace, "qdisc", "del", "dev", link, "root"])
        }
    }

    @discardableResult
    private static func ip(_ arguments: [String]) throws -> String {
        let (status, data) = try captured(ipProgram ?? "/usr/sbin/ip", arguments, errors: true)
        let output = String(decoding: data, as: UTF8.self)
        guard status == 0 else { throw TestBedError("ip \(arguments.joined(separator: " ")): \(output)") }
        return output
    }

    /// A third part of the addresses that no other test bed has, kept by a lock as ports are.
    private static func takeNumber() throws -> (Int, Int32) {
        let folder = try ServerFiles.located().ports
        for number in 0..<250 {
            let lock = open("\(folder)/net-\(number)", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
            guard lock >= 0 else { continue }
            let isThere = FileManager.default.fileExists(atPath: "/sys/class/net/rw\(number)")
            if flock(lock, LOCK_EX | LOCK_NB) == 0, !isThere { return (number, lock) }
            close(lock)
        }
        throw TestBedError("no free network among 198.18.0.0 to 198.18.249.0")
    }
}
