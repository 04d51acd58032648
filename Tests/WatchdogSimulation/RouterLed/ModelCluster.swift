import MySQLWire
import SeededRandom
import Watchdog

/// Router-led mode: two servers, some routers and some agents as values. The steps that `RouterLedPolicy` chooses are
/// carried out by the commands of their plans, as the real servers would, one command at a time, in any order of agents,
/// with agents killed and answers lost between any two commands.
package struct ModelCluster {
    package struct Server {
        package var facts: ServerFacts
        package var up = true
        /// How often it was started.
        package var lives = 0
        package var open: Bool { !facts.readOnly && !facts.superReadOnly }
    }
    package struct Agent {
        package var name: String
        package var server: ServerID?
        package var session: UInt64?
        package var routed: ServerID
        package var first: ServerID
        package var epoch: UInt64 = 0
        package var alive = true
        package var settled = false
        package var machine: RouterLedMachine
        /// What is under way: its commands that are left, and what puts things back where one fails.
        package var step: Step?
        package var commands: [Command] = []
        package var onFailure: [Command] = []
        package var ledger: Ledger?
        /// The other server, while its operation lock is held.
        package var guest: ServerID?
        package var found = Found()
        /// What one server has answered to a look; the other one has not been asked yet.
        package var firstAnswer: (from: ServerID, view: ServerView)?

        init(name: String) {
            self.name = name
            (routed, first) = (.a, .a)
            machine = RouterLedMachine(ModelCluster.configuration(name))
        }
    }

    /// What a command has found and a later one of its plan needs (`CommandRunner`).
    package struct Found {
        package var openedForLedger = false
        package var fenced: (executed: GTIDSet, life: Int)?
        package var wasOpen = false
        package var replica: ServerFacts?
        package var source: ServerFacts?
        package var marker: RebuildMarker?
        package var saved: GTIDSet?
        package var known: GTIDSet?
        package var isMarked = false
        package var isWiped = false
    }

    package var servers: [ServerID: Server]
    package var agents: [Agent]
    package var ledgers: [ServerID: [LedgerRow]] = [:]
    package var locks: [ServerID: UInt64] = [:]
    package var nextSession: UInt64 = 1
    package var nextRow: UInt64 = 1
    /// Every signal that was ever written, in order.
    package var written: [(signal: Signal, agent: String, epoch: UInt64)] = []
    package var steps: [String] = []
    /// Why operations were called off.
    package var aborts: [Reason] = []
    /// How many commands were carried out.
    package var sent = 0
    /// What half a copy had executed when it was saved, as its marker says.
    package var records: [ServerID: GTIDSet] = [:]
    /// Data of a server replaced although it held transactions that had not been saved.
    package var destroyed: [String] = []
    /// An operation ended with the replica closed.
    package var keptClosed = false
    /// Grows with every round, as a clock does.
    package var now: Int64 = 0
    /// Every transaction that a client was told is committed.
    package var acknowledged = GTIDSet()
    /// Everything that is held in a dump.
    package var saved = GTIDSet()
    /// How often an applier that meets transactions beside its own stops at a conflict, in per cent.
    package var conflicts = 0
    /// How often a command is done and its answer lost, in per cent.
    package var lostAnswers = 0
    /// How often a running channel brings nothing in a round, in per cent.
    package var lag = 0
    /// How often other agents go on between the two answers of a look, in per cent.
    package var splitLooks = 0
    /// How often a router cannot be turned, in per cent.
    package var stubbornRouters = 0
    /// How often the sessions of an agent that dies outlive it, and its last statement is carried out, in per cent.
    package var outlives = 0
    /// Those sessions, each until its server notices.
    package var lingering: [(server: ServerID, session: UInt64, until: Int64)] = []
    /// What is done to every plan.
    package var alteration: Alteration?
    package var promotions = 0
    package var rebuilds = 0
    /// The commands that were in any plan.
    package var used: Set<Command.Name> = []
    package var random = SeededGenerator(seed: 0)
    /// What must never happen, in words.
    package var violations: [String] = []

    package init(agents count: Int) {
        servers = [
            .a: Server(facts: Self.facts(.a) { $0.executed = GTIDSet("\(Self.uuidA):1-10") ?? GTIDSet() }),
            .b: Server(
                facts: Self.facts(.b) {
                    $0.executed = GTIDSet("\(Self.uuidA):1-10") ?? GTIDSet()
                    $0.channels = [Self.channel(from: .a)]
                }),
        ]
        agents = (1...count).map { Agent(name: "web\($0)") }
    }

    private func isOpen(_ session: UInt64, on id: ServerID) -> Bool {
        agents.contains { $0.session == session && $0.server == id && $0.alive }
            || lingering.contains { $0.session == session && $0.server == id }
    }

    private func view(_ id: ServerID) -> ServerView {
        guard let server = servers[id], server.up else { return .downHard("refused") }
        var facts = server.facts
        facts.ledger = ledgers[id].map { rows in
            rows.map { row in
                var row = row
                row.alive = isOpen(row.session, on: id)
                row.age = now - row.age
                return row
            }
        }
        return .up(facts)
    }

    package func observation(_ agent: Agent) -> Observation {
        func view(_ id: ServerID) -> ServerView {
            if let first = agent.firstAnswer, first.from == id { return first.view }
            return self.view(id)
        }
        let uuid = servers[agent.routed]?.facts.uuid ?? ""
        let destinations = [agent.first, agent.first.other].map { Self.configuration("web1").servers[$0] }
        return Observation(
            a: view(.a), b: view(.b),
            router: servers[agent.routed]?.up == true ? .leadsTo(uuid: uuid) : .noAnswer("refused"),
            destinations: destinations)
    }

    package mutating func kill(_ index: Int) {
        guard agents[index].alive else { return }
        agents[index].firstAnswer = nil
        if happens(outlives) {
            // What it had sent is carried out, and its sessions end when their servers notice.
            if agents[index].step != nil, let command = agents[index].commands.first { _ = carryOut(command, index) }
            let until = now + 1_000 + Int64.random(in: 0..<8_000, using: &random)
            if let session = agents[index].session {
                for id in [agents[index].server, agents[index].guest].compactMap({ $0 }) {
                    lingering.append((id, session, until))
                }
            }
            (agents[index].server, agents[index].session, agents[index].guest) = (nil, nil, nil)
        }
        agents[index].alive = false
        close(index)
    }

    mutating func happens(_ percent: Int) -> Bool {
        percent > 0 && Int.random(in: 0..<100, using: &random) < percent
    }

    private mutating func endSessions() {
        for old in lingering where old.until <= now && locks[old.server] == old.session { locks[old.server] = nil }
        lingering.removeAll { $0.until <= now }
    }

    package mutating func close(_ index: Int) {
        unlock(index)
        if let server = agents[index].server, locks[server] == agents[index].session { locks[server] = nil }
        agents[index].server = nil
        agents[index].session = nil
        if !agents[index].alive { agents[index].step = nil }
    }

    package mutating func unlock(_ index: Int) {
        if let guest = agents[index].guest, locks[guest] == agents[index].session { locks[guest] = nil }
        agents[index].guest = nil
    }

    // MARK: Faults

    package mutating func crash(_ id: ServerID) {
        servers[id]?.up = false
        locks[id] = nil
        lingering.removeAll { $0.server == id }
        for index in agents.indices {
            if agents[index].guest == id { agents[index].guest = nil }
            if agents[index].server == id { close(index) }
        }
    }

    /// Comes up as its init system starts it: open, unless it was closed for good.
    package mutating func restart(_ id: ServerID) {
        servers[id]?.up = true
        servers[id]?.lives += 1
        servers[id]?.facts.superReadOnly = false
        let half = servers[id]?.facts.rebuilding != nil
        servers[id]?.facts.readOnly = half
    }

    /// A new process.
    package mutating func wake(_ index: Int) {
        guard !agents[index].alive else { return }
        agents[index].alive = true
        agents[index].machine = RouterLedMachine(Self.configuration(agents[index].name))
    }

    /// next-available: a router whose server is gone moves to the other and stays there.
    package mutating func moveRouters() {
        for index in agents.indices where servers[agents[index].routed]?.up == false {
            if servers[agents[index].routed.other]?.up == true { agents[index].routed = agents[index].routed.other }
        }
    }

    /// A client behind this host's router writes; if its server is open the write is acknowledged.
    package mutating func clientWrite(_ index: Int) {
        let id = agents[index].routed
        guard let server = servers[id], server.up, server.open else { return }
        if server.facts.rebuilding != nil { violations.append("\(id) takes writes although it is half a copy") }
        let own = server.facts.executed.union(acknowledged).from(uuid: server.facts.uuid)
        guard let next = GTIDSet("\(server.facts.uuid):\(own.count + 1)") else { return }
        servers[id]?.facts.executed = server.facts.executed.union(next)
        acknowledged = acknowledged.union(next)
    }

    // MARK: Agents

    /// The next command of what an agent does, or a look that chooses what it does.
    package mutating func round(_ index: Int) {
        endSessions()
        replicate()
        guard agents[index].alive else { return }
        // The others do something in this time as well.
        now += (agents[index].step == nil ? 300 : 30) / Int64(agents.count)
        if agents[index].firstAnswer != nil {
            let seen = observation(agents[index])
            agents[index].firstAnswer = nil
            advance(index, .looked(seen))
        } else if agents[index].step == nil {
            advance(index, .begin)
        }
        if agents[index].step != nil { send(index) }
    }

    mutating func advance(_ index: Int, _ event: RouterLedMachine.Event) {
        for command in agents[index].machine.handle(event, at: now) { perform(command, index) }
    }

    private mutating func perform(_ command: RouterLedMachine.Command, _ index: Int) {
        let agent = agents[index]
        switch command {
        case .look:
            agents[index].settled = false
            if happens(splitLooks) {
                let id: ServerID = happens(50) ? .a : .b
                agents[index].firstAnswer = (id, view(id))
            } else {
                advance(index, .looked(observation(agent)))
            }
        case .note(let epoch): agents[index].epoch = max(agents[index].epoch, epoch)
        case .describe:
            let holdsLock = agent.server.map { locks[$0] == agent.session && agent.session != nil } ?? false
            advance(
                index,
                .described(
                    LocalStatus(
                        agent: agent.name, server: agent.server, session: agent.session, holdsLock: holdsLock,
                        epoch: agent.epoch)))
        case .report: steps.append("\(agent.name): \(agent.machine.step ?? .none(.nothingToDo))")
        case .pause: break
        case .perform(let step): begin(step, index)
        case .leave, .handOver: close(index)
        case .end(let outcome): agents[index].settled = outcome == .settled
        }
    }

    private mutating func begin(_ step: Step, _ index: Int) {
        if case .abort(let why) = step { aborts.append(why) }
        // Its answer may be lost.
        if case .terminate(_, keepClosed: true) = step { keptClosed = true }
        if case .route(let id) = step { return route(index, to: id) }
        let agent = agents[index]
        guard let seen = agent.machine.seen else { return }
        agents[index].ledger = seen.activeLedger
        let plan = OperationPlan(step, context(index, seen))
        used.formUnion((plan.commands + plan.onFailure).map(\.name))
        agents[index].step = step
        agents[index].commands = alteration?.applied(to: plan.commands) ?? plan.commands
        agents[index].onFailure = alteration?.applied(to: plan.onFailure) ?? plan.onFailure
        agents[index].found = Found()
    }

    package func context(_ index: Int, _ seen: Observation) -> OperationContext {
        let agent = agents[index]
        var context = OperationContext(
            agent: agent.name, addresses: SimWorld.addresses, rules: nil, seen: seen, ledger: seen.activeLedger,
            nextEpoch: agent.machine.nextEpoch)
        context.joined = agent.server
        return context
    }

    private mutating func route(_ index: Int, to id: ServerID) {
        let turns = servers[id]?.up == true && !happens(stubbornRouters)
        if turns { (agents[index].routed, agents[index].first) = (id, id) }
        advance(index, .performed(turns ? .done : .failed("refused"), server: agents[index].server))
    }

    /// What running channels do by themselves.
    /// - Parameter waits: somebody waits until everything has come.
    package mutating func replicate(waits: Bool = false) {
        for id in ServerID.allCases {
            guard let server = servers[id], server.up, let source = servers[id.other], source.up,
                let channel = server.facts.channels.first, channel.health == .running
            else { continue }
            let new = source.facts.executed.subtracting(server.facts.executed)
            let own = server.facts.executed.subtracting(source.facts.executed)
            if !waits, happens(lag) { continue }
            if !new.isEmpty, !own.isEmpty, Int.random(in: 0..<100, using: &random) < conflicts {
                servers[id]?.facts.channels = [
                    Self.channel(from: id.other) {
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
}
