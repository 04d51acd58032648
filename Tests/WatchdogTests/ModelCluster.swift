import MySQLWire
import SeededRandom

@testable import Watchdog

/// Two servers, some routers and some agents as values: every step that `RouterLedPolicy` chooses is carried out on them as the
/// real servers would, one agent at a time, in any order, with agents killed between any two steps.
struct ModelCluster {
    struct Server {
        var facts: ServerFacts
        var up = true
        var open: Bool { !facts.readOnly && !facts.superReadOnly }
    }
    struct Agent {
        var name: String
        var server: ServerID?
        var session: UInt64?
        var routed: ServerID
        var first: ServerID
        var epoch: UInt64 = 0
        var alive = true
        var settled = false
    }

    var servers: [ServerID: Server]
    var agents: [Agent]
    var ledgers: [ServerID: [LedgerRow]] = [:]
    var locks: [ServerID: UInt64] = [:]
    var nextSession: UInt64 = 1
    var nextRow: UInt64 = 1
    /// Every signal that was ever written, in order.
    var written: [(signal: Signal, agent: String, epoch: UInt64)] = []
    var steps: [String] = []
    /// Data of a server replaced although it held transactions that had not been saved.
    var destroyed: [String] = []
    /// An operation ended with the replica closed.
    var keptClosed = false
    /// Grows with every round, as a clock does.
    var now: Int64 = 0
    /// Every transaction that a client was told is committed.
    var acknowledged = GTIDSet()
    /// Everything that is held in a dump.
    var saved = GTIDSet()
    /// How often an applier that meets transactions beside its own stops at a conflict, in per cent.
    var conflicts = 0
    var random = SeededGenerator(seed: 0)
    /// What must never happen, in words.
    var violations: [String] = []

    init(agents count: Int) {
        servers = [
            .a: Server(facts: Fixture.facts(.a) { $0.executed = GTIDSet("\(Fixture.uuidA):1-10") ?? GTIDSet() }),
            .b: Server(
                facts: Fixture.facts(.b) {
                    $0.executed = GTIDSet("\(Fixture.uuidA):1-10") ?? GTIDSet()
                    $0.channels = [Fixture.channel(from: .a)]
                }),
        ]
        agents = (1...count).map { Agent(name: "web\($0)", routed: .a, first: .a) }
    }

    func observation(_ agent: Agent) -> Observation {
        func view(_ id: ServerID) -> ServerView {
            guard let server = servers[id], server.up else { return .downHard("refused") }
            var facts = server.facts
            facts.ledger = ledgers[id].map { rows in
                rows.map { row in
                    var row = row
                    row.alive = agents.contains { $0.session == row.session && $0.server == id && $0.alive }
                    row.age = now - row.age
                    return row
                }
            }
            return .up(facts)
        }
        let uuid = servers[agent.routed]?.facts.uuid ?? ""
        let destinations = [agent.first, agent.first.other].map { Fixture.configuration().servers[$0] }
        return Observation(
            a: view(.a), b: view(.b),
            router: servers[agent.routed]?.up == true ? .leadsTo(uuid: uuid) : .noAnswer("refused"),
            destinations: destinations)
    }

    mutating func kill(_ index: Int) {
        agents[index].alive = false
        close(index)
    }

    mutating func close(_ index: Int) {
        if let server = agents[index].server, locks[server] == agents[index].session { locks[server] = nil }
        agents[index].server = nil
        agents[index].session = nil
    }

    // MARK: Faults

    mutating func crash(_ id: ServerID) {
        servers[id]?.up = false
        locks[id] = nil
        for index in agents.indices where agents[index].server == id {
            agents[index].server = nil
            agents[index].session = nil
        }
    }

    /// Comes up as its init system starts it: open, unless it was closed for good.
    mutating func restart(_ id: ServerID) {
        servers[id]?.up = true
        servers[id]?.facts.superReadOnly = false
        let half = servers[id]?.facts.rebuilding != nil
        servers[id]?.facts.readOnly = half
    }

    mutating func wake(_ index: Int) { agents[index].alive = true }

    /// next-available: a router whose server is gone moves to the other and stays there.
    mutating func moveRouters() {
        for index in agents.indices where servers[agents[index].routed]?.up == false {
            if servers[agents[index].routed.other]?.up == true { agents[index].routed = agents[index].routed.other }
        }
    }

    /// A client behind this host's router writes; if its server is open the write is acknowledged.
    mutating func clientWrite(_ index: Int) {
        let id = agents[index].routed
        guard let server = servers[id], server.up, server.open else { return }
        if server.facts.rebuilding != nil { violations.append("\(id) takes writes although it is half a copy") }
        let own = server.facts.executed.union(acknowledged).from(uuid: server.facts.uuid)
        guard let next = GTIDSet("\(server.facts.uuid):\(own.count + 1)") else { return }
        servers[id]?.facts.executed = server.facts.executed.union(next)
        acknowledged = acknowledged.union(next)
    }

    // MARK: Agents

    /// One round of one agent.
    mutating func round(_ index: Int) {
        now += 300
        let agent = agents[index]
        guard agent.alive else { return }
        replicate()
        let configuration = Fixture.configuration(agent: agent.name)
        let seen = observation(agent)
        let diagnosis = Diagnoser(configuration).diagnose(seen)
        if let primary = diagnosis.primary, RouterLedPolicy(configuration).turned(seen, to: primary),
            let promotion = seen.facts(primary)?.promotion, promotion.primary == seen.facts(primary)?.uuid
        {
            agents[index].epoch = max(agents[index].epoch, promotion.epoch)
        }
        let standing = LocalStatus(
            agent: agent.name, server: agent.server, session: agent.session,
            holdsLock: agent.server.map { locks[$0] == agent.session && agent.session != nil } ?? false,
            epoch: agents[index].epoch)
        let policy = RouterLedPolicy(configuration)
        let step = policy.nextStep(seen, diagnosis, standing)
        agents[index].settled = false
        steps.append("\(agent.name): \(step)")
        perform(step, index, seen, policy.activeLedger(seen))
    }

    /// What running channels do by themselves.
    private mutating func replicate() {
        for id in ServerID.allCases {
            guard let server = servers[id], server.up, let source = servers[id.other], source.up,
                let channel = server.facts.channels.first, channel.health == .running
            else { continue }
            let new = source.facts.executed.subtracting(server.facts.executed)
            let own = server.facts.executed.subtracting(source.facts.executed)
            if !new.isEmpty, !own.isEmpty, Int.random(in: 0..<100, using: &random) < conflicts {
                servers[id]?.facts.channels = [
                    Fixture.channel(from: id.other) {
                        $0.applierErrno = 1062
                        $0.applierRuns = false
                    }
                ]
                continue
            }
            servers[id]?.facts.executed = server.facts.executed.union(source.facts.executed)
            if let promotion = source.facts.promotion { servers[id]?.facts.promotion = promotion }
        }
    }

    private mutating func join(_ index: Int, _ server: ServerID) {
        if agents[index].server == server { return }
        close(index)
        agents[index].server = server
        agents[index].session = nextSession
        nextSession += 1
    }

    private mutating func write(_ signal: Signal, _ index: Int, _ epoch: UInt64, _ seen: Observation) {
        guard let server = agents[index].server, let session = agents[index].session else { return }
        var routed = ""
        if case .leadsTo(let uuid) = seen.router { routed = uuid }
        ledgers[server, default: []].append(
            LedgerRow(
                id: nextRow, signal: signal, agent: agents[index].name, epoch: epoch, seen: routed, session: session,
                age: now))
        nextRow += 1
        written.append((signal, agents[index].name, epoch))
    }

    private mutating func perform(_ step: Step, _ index: Int, _ seen: Observation, _ ledger: Ledger?) {
        let name = agents[index].name
        let epoch = ledger?.master?.epoch ?? 0
        switch step {
        case .none:
            agents[index].settled = true
            close(index)
        case .wait: break
        case .scan(let server):
            join(index, server)
            write(.scan(host: name), index, 0, seen)
        case .lock(let server):
            join(index, server)
            if locks[server] == nil { locks[server] = agents[index].session }
        case .master(let server):
            let next = RouterLedPolicy(Fixture.configuration(agent: name)).nextEpoch(
                seen, LocalStatus(agent: name, epoch: agents[index].epoch))
            join(index, server)
            write(.mast(host: name), index, next, seen)
        case .withdraw: close(index)
        case .follow(let server):
            join(index, server)
            write(.folo(host: name), index, epoch, seen)
        case .announce(let kind, let target):
            write(.oper(kind), index, epoch, seen)
            write(.targ(socket: Fixture.configuration().servers[target].description), index, epoch, seen)
        case .fence(let id):
            guard servers[id]?.up == true else { return }
            servers[id]?.facts.superReadOnly = true
            servers[id]?.facts.readOnly = true
        case .drain(_, let id):
            if case .stopped? = servers[id]?.facts.channels.first?.health {
                servers[id]?.facts.channels = [Fixture.channel(from: id.other)]
            }
        case .promote(let id, let undrained):
            guard let new = servers[id]?.facts, let old = servers[id.other], old.up, old.facts.superReadOnly,
                old.facts.executed.subtracting(new.executed).isSubset(of: GTIDSet(undrained) ?? GTIDSet())
            else { return }
            servers[id]?.facts.promotion = Promotion(epoch: epoch, primary: new.uuid)
            servers[id]?.facts.channels = []
        case .open(let id):
            servers[id]?.facts.readOnly = false
            servers[id]?.facts.superReadOnly = false
        case .route(let id):
            guard servers[id]?.up == true else { return }
            agents[index].routed = id
            agents[index].first = id
        case .resume(let replica, let primary):
            guard servers[replica]?.up == true else { return }
            servers[replica]?.facts.channels = [Fixture.channel(from: primary)]
        case .rebuild(let replica, let primary, _): rebuild(replica, from: primary, epoch)
        case .confirmMaster: write(.maok(host: name), index, epoch, seen)
        case .confirmFollower: write(.fook(host: name), index, epoch, seen)
        case .terminate(_, let keepClosed):
            if keepClosed { keptClosed = true }
            end(index, open: ledger?.kind != nil && !keepClosed)
        case .abort: end(index, open: ledger?.kind != nil)
        case .fenceCommand, .stopReceiver, .applyRelayLog, .promoteWithoutSource, .disableSemiSync, .enableSemiSync,
            .disableSemiSyncOnReplica, .startClosed:
            violations.append("\(step) does not belong to router-led mode")
        }
    }

    /// In two parts, as the real one: until the copy is whole the server carries the marker and holds next to nothing.
    private mutating func rebuild(_ replica: ServerID, from primary: ServerID, _ epoch: UInt64) {
        guard let target = servers[replica], target.up, let source = servers[primary], source.up,
            source.facts.channels.isEmpty, source.facts.rebuilding == nil
        else { return }
        if target.facts.rebuilding == nil {
            let lost = target.facts.executed.lost(by: source.facts.executed, of: source.facts.uuid)
            guard lost.isEmpty else { return }
            if target.open, agents.contains(where: { $0.alive && $0.routed == replica }) {
                destroyed.append("\(replica)")
            }
            saved = saved.union(target.facts.executed)
            servers[replica]?.facts.rebuilding = RebuildMarker(source: source.facts.uuid, epoch: epoch, saved: "x")
            servers[replica]?.facts.readOnly = true
            servers[replica]?.facts.superReadOnly = false
            servers[replica]?.facts.channels = []
            servers[replica]?.facts.executed = GTIDSet()
            return
        }
        if !target.facts.executed.isSubset(of: saved.union(source.facts.executed)) {
            violations.append("\(replica) is wiped although it holds what is not saved")
        }
        servers[replica]?.facts.executed = source.facts.executed
        servers[replica]?.facts.promotion = source.facts.promotion
        servers[replica]?.facts.channels = [Fixture.channel(from: primary)]
        servers[replica]?.facts.rebuilding = nil
        ledgers[replica] = nil
    }

    private mutating func end(_ index: Int, open: Bool) {
        guard let server = agents[index].server else { return }
        for id in ServerID.allCases where open && servers[id]?.up == true && servers[id]?.facts.rebuilding == nil {
            servers[id]?.facts.superReadOnly = false
            servers[id]?.facts.readOnly = false
        }
        ledgers[server] = nil
        if servers[server.other]?.up == true { ledgers[server.other] = nil }
        close(index)
    }
}
