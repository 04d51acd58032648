import Watchdog

/// One transaction, as it stands in binary and relay logs.
struct Tx {
    /// The client's write; nil for what agents write into a server's own history.
    var mark: Int?
    var gtid: GTIDSet
    var promotion: Promotion?
}

/// A modelled mysqld: what its disk holds, what it would say, who is connected. A class: it is read in every event, and
/// a structure of this size would often be copied whole for one of its fields.
final class SimServer {
    let id: ServerID
    let uuid: String
    var up = true
    var frozen = false
    /// Counts its processes: a replica's connection to an earlier one is gone, whatever the replica noticed.
    var process = 0

    // On disk.
    var binlog: [Tx] = []
    var executed = GTIDSet()
    var data = Marks()
    var promotion: Promotion?
    /// A row of the history that names neither of the two servers.
    var foreign: Promotion?
    var promotedAt: Int64?
    var failovers = 0
    var rebuilding: RebuildMarker?
    /// What was executed when its data was saved, beside the marker; nil since it was wiped.
    var saved: GTIDSet?
    /// What it claims without having it in its binary log.
    var purged = GTIDSet()
    /// The copy is whole but for its replication.
    var isCopied = false
    var ledger: [LedgerRow]?
    var paused = false
    var channel: Channel?
    /// No number of this server's own below this one is free.
    var nextOwn = 0

    // In the process.
    var superReadOnly = true
    var readOnly = true
    /// Somebody has asked for super_read_only, and commits that began before are waited for: it shows as ON already,
    /// read_only does not.
    var closing = false
    var semiSync = false
    var waiting: [(tx: Tx, host: Int, connection: Int)] = []
    var lock: Int?
    /// The session that holds the operation lock on this server for an operation whose ledger lies on the other; it is
    /// known by the ledger session that it serves.
    var guest: (session: Int, agent: Int, heard: Int64)?
    /// Turns everybody away, alive.
    var refusing = false
    /// Its disk has lost what it had promised to keep.
    var forgetful = false
    var failoverAsked = false
    /// What it had received and not applied went with a crash.
    var hasLostRelay = false
    /// Another one for each process.
    var started: Int64 = 0
    var seats: [Seat]
    var sessions = Sessions()
    var switchoverAsked = false
    var lossAccepted = false
    /// How far this server's wall clock has jumped.
    var jump: Int64 = 0

    /// A session as the server sees it.
    struct Seat {
        var agent = 0
        /// The list by which its agent goes.
        var list: [Int] = []
        var open = false
        /// When the server last heard from it, and when its end will have reached the server.
        var heard: Int64 = 0
        var ends: Int64?
        var seesPrimary = false
        var unreachable = false
        var dead = false
        var async = false
    }

    /// Sessions of operations, by number; a handful.
    struct Sessions {
        private(set) var all: [(session: Int, seat: Seat)] = []

        subscript(session: Int) -> Seat? {
            get { all.first { $0.session == session }?.seat }
            set {
                let place = all.firstIndex { $0.session == session }
                if let place, let newValue {
                    all[place].seat = newValue
                } else if let newValue {
                    all.append((session, newValue))
                } else if let place {
                    all.remove(at: place)
                }
            }
        }
    }

    struct Channel {
        var source: ServerID
        var receiverWanted = true
        var applierWanted = true
        var connected = false
        /// The source's process that it is connected to.
        var process = 0
        var position = 0
        var relay: [Tx] = []
        var retrieved = GTIDSet()
        var mark: UInt64 = 1
        /// The applier does nothing until then.
        var stalledUntil: Int64 = 0
        /// An error that only a rebuild ends.
        var receiverBroken = false
        var applierBroken = false
    }

    init(_ id: ServerID, agents: Int) {
        self.id = id
        uuid = id == .a ? "aaaaaaaa-0000-0000-0000-000000000001" : "bbbbbbbb-0000-0000-0000-000000000002"
        seats = Array(repeating: Seat(), count: agents)
    }

    static let uuids: [ServerID: String] = [
        .a: "aaaaaaaa-0000-0000-0000-000000000001", .b: "bbbbbbbb-0000-0000-0000-000000000002",
    ]
    static let foreignUUID = "ffffffff-0000-0000-0000-00000000000f"

    /// What its history says to one who knows these server_uuids of the two.
    func believed(_ members: Set<String>) -> (promotion: Promotion?, foreign: PromotionRecord.Foreign) {
        let sources = channel == nil ? [] : [SimServer.uuids[id.other] ?? ""]
        let known = promotion.flatMap {
            ($0.primary == uuid || sources.contains($0.primary) || members.contains($0.primary)) ? $0 : nil
        }
        let newest = [promotion, foreign].compactMap { $0 }.max { $0.epoch < $1.epoch }
        return PromotionRecord(newest: newest, newestKnown: known).believed(
            on: uuid, sources: sources, members: members)
    }

    var running: Bool { up && !frozen }
    var open: Bool { up && !readOnly }

    /// The next number of this server's own.
    func nextGTID() -> GTIDSet {
        let table = SimServer.numbers[id == .a ? 0 : 1]
        while table[nextOwn].isSubset(of: executed) || waiting.contains(where: { $0.tx.gtid == table[nextOwn] }) {
            nextOwn += 1
        }
        return table[nextOwn]
    }

    /// The first transactions of each server, read once.
    static let numbers: [[GTIDSet]] = ["aaaaaaaa-0000-0000-0000-000000000001", "bbbbbbbb-0000-0000-0000-000000000002"]
        .map { uuid in (1...4_000).compactMap { GTIDSet("\(uuid):\($0)") } }

    func commit(_ tx: Tx) {
        executed = executed.union(tx.gtid)
        if let mark = tx.mark { data.insert(mark) }
        if let new = tx.promotion, new.epoch > promotion?.epoch ?? 0 { promotion = new }
    }

    func endSessions() {
        lock = nil
        guest = nil
        sessions = Sessions()
        for index in seats.indices { seats[index] = Seat() }
        switchoverAsked = false
        failoverAsked = false
        lossAccepted = false
    }

    func crash() {
        up = false
        process += 1
        frozen = false
        endSessions()
        // What waited for an acknowledgement stands in the binary log: recovery commits it.
        for entry in waiting { commit(entry.tx) }
        waiting = []
        refusing = false
        closing = false
        channel?.connected = false
        channel?.receiverWanted = true
        channel?.applierWanted = true
    }

    /// Closed, as the agents have persisted.
    func restart(semiSyncAtBoot: Bool) {
        up = true
        started = 1_000 * Int64(process)
        superReadOnly = true
        readOnly = true
        semiSync = semiSyncAtBoot
    }
}
