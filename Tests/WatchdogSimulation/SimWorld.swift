import MySQLWire

@testable import Watchdog

/// Two servers, some hosts and the network between them, under a virtual clock in milliseconds. Agents run the
/// production `Govern`; everything else is modelled after what real servers were seen to do. One seed is one history.
final class SimWorld {
    enum Event {
        case tick
        case look(Int, life: Int)
        case probe(Int, life: Int, ServerID, Int, Int64)
        case answered(Int, life: Int, ServerID, ServerView, Int64)
        case patience(Int, life: Int)
        case carry(Int, life: Int, Orders, Sight, Int)
        case deliver(Int, life: Int, Op)
        case reply(Int, life: Int, Bool)
        case routerStopped(Int, Int)
        case routerStarted(Int, Int)
        case supervisor(Int, life: Int)
        case write(Int)
        case fault(Fault)
        case mend(Fault)
    }

    var dice: Dice
    var plan: Plan
    var now: Int64 = 0
    var agenda = Agenda<Event>()
    var servers: [SimServer]
    var agents: [SimAgent]
    /// Which directions are cut: nodes are the servers (0, 1) and then the hosts.
    var cutLinks: Set<Int> = []
    var lossPercent = 0
    var nextSession = 1
    var nextRow: UInt64 = 1
    var nextMark = 0
    var oracle = Oracle()
    var story: [String]?
    /// What the first question of each probe saw, by agent and server.
    var firsts: [ServerFacts?]

    let rules: QuorumRules

    init(seed: UInt64, plan: Plan, breakage: Govern.Breakage?, tell: Bool = false) {
        dice = Dice(seed: seed)
        self.plan = plan
        story = tell ? [] : nil
        firsts = Array(repeating: nil, count: plan.agents * 2)
        let names = (1...plan.agents).map { "web\($0)" }
        var rules = QuorumRules(
            agents: names, own: 0, maxLost: plan.semiSync ? 0 : plan.maxLost, bound: plan.bound, drainTimeout: 20_000)
        rules.blockPeriod = 0
        self.rules = rules
        servers = [SimServer(.a, agents: plan.agents), SimServer(.b, agents: plan.agents)]
        agents = []
        for index in 0..<plan.agents {
            var own = rules
            own.own = index
            var govern = Govern(rules: own, configuration: Self.configuration, kept: Kept())
            if let breakage { govern.broken = [breakage] }
            agents.append(SimAgent(index: index, govern: govern))
        }
        servers[1].channel = SimServer.Channel(source: .a)
        servers[0].semiSync = plan.semiSync
        if !plan.coldStart {
            servers[0].superReadOnly = false
            servers[0].readOnly = false
        } else {
            for index in agents.indices { agents[index].router.state = .cut }
        }
        begin()
    }

    static let configuration: Configuration = Configuration(
        cluster: "shop", initiative: .agents, agents: [], workingDirectory: "/nowhere",
        agent: .init(name: "web1", interval: .seconds(1), probeTimeout: .seconds(2)),
        servers: .init(a: .tcp(host: "10.0.0.1", port: 3306), b: .tcp(host: "10.0.0.2", port: 3306)),
        credentials: .init(user: "watchdog", password: Secret("x"), tls: .preferred, caFile: nil),
        replication: .init(user: "repl", password: Secret("y"), peer: nil),
        router: .init(
            address: .tcp(host: "127.0.0.1", port: 7001), configFile: "/nowhere/router.conf",
            section: "routing:mysql_failover", restart: ["true"], stop: ["true"], destinations: .primaryOnly),
        safety: .init(maxLostTransactions: 0, drainTimeout: .seconds(60), operationTimeout: .seconds(3600)))
    static let sockets = ["10.0.0.1:3306", "10.0.0.2:3306"]

    private func begin() {
        for index in agents.indices {
            agenda.add(dice.within(0...900), .look(index, life: 0))
            agenda.add(dice.within(0...300), .write(index))
        }
        for fault in plan.faults {
            agenda.add(fault.at, .fault(fault))
            agenda.add(fault.at + fault.lasts, .mend(fault))
        }
        agenda.add(0, .tick)
    }

    func tell(_ text: @autoclosure () -> String) {
        if story != nil { story?.append("\(now) \(text())") }
    }

    // MARK: The network

    func node(_ id: ServerID) -> Int { id == .a ? 0 : 1 }
    func index(_ id: ServerID) -> Int { id == .a ? 0 : 1 }

    /// Whether a packet gets from one node to another.
    func passes(_ from: Int, _ to: Int) -> Bool { cutLinks.isEmpty || !cutLinks.contains(from * 16 + to) }
    func reaches(_ host: Int, _ id: ServerID) -> Bool { passes(2 + host, node(id)) && passes(node(id), 2 + host) }

    func lost() -> Bool { lossPercent > 0 && dice.chance(lossPercent) }
    func delay() -> Int64 { dice.chance(3) ? dice.within(20...400) : dice.within(1...12) }

    // MARK: The clock

    /// Runs until the cluster is whole after the last fault, or the end of patience.
    func run() {
        let patience = plan.healed + 120_000
        while let (time, event) = agenda.next() {
            now = time
            handle(event)
            if !oracle.violations.isEmpty { return }
            if case .tick = event, now > plan.healed + 1_500, now / 50 % 10 == 0, isWhole() { return }
            if now > patience {
                oracle.violations.append(
                    "not whole \((now - plan.healed) / 1000) s after the last fault: \(complaint())")
                return
            }
        }
    }

    private func handle(_ event: Event) {
        switch event {
        case .tick: tick()
        case .look(let agent, let life): if lives(agent, life, event) { look(agent) }
        case .probe(let agent, let life, let id, let stage, let asked):
            if lives(agent, life, event) { probe(agent, id, stage, asked) }
        case .answered(let agent, let life, let id, let view, let asked):
            if lives(agent, life, event) { answered(agent, id, view, asked) }
        case .patience(let agent, let life): if lives(agent, life, event) { consider(agent, late: true) }
        case .carry(let agent, let life, let orders, let sight, let stage):
            if lives(agent, life, event) { carry(agent, orders, sight, stage) }
        case .deliver(let agent, let life, let op): deliver(agent, life, op)
        case .reply(let agent, let life, let fine): if lives(agent, life, event) { proceed(agent, fine) }
        case .routerStopped(let agent, let process): routerStopped(agent, process)
        case .routerStarted(let agent, let process): routerStarted(agent, process)
        case .supervisor(let agent, let life): supervise(agent, life)
        case .write(let agent): write(agent)
        case .fault(let fault): strike(fault)
        case .mend(let fault): mend(fault)
        }
    }

    /// Whether the process that an event belongs to is there to see it. A frozen one sees it when it thaws.
    private func lives(_ agent: Int, _ life: Int, _ event: Event) -> Bool {
        guard agents[agent].life == life, agents[agent].alive else { return false }
        if agents[agent].frozen {
            agents[agent].postponed.append(event)
            return false
        }
        return true
    }

    // MARK: What goes on by itself

    private func tick() {
        agenda.add(now + 50, .tick)
        for id in ServerID.allCases { replicate(id) }
        for agent in agents.indices { keepPosts(agent) }
        for id in ServerID.allCases { expire(id) }
        for agent in agents.indices { guardLease(agent) }
        watchRoads()
    }

    private func replicate(_ id: ServerID) {
        let mine = index(id)
        guard servers[mine].channel != nil, servers[mine].running else { return }
        let theirs = 1 - mine
        let reachable = servers[theirs].running && passes(mine, theirs) && passes(theirs, mine)
        if !servers[theirs].up { servers[mine].channel?.connected = false }
        guard let channel = servers[mine].channel else { return }
        if channel.receiverWanted, reachable {
            if !channel.connected, dice.chance(40) {
                servers[mine].channel?.connected = true
                servers[mine].channel?.position = 0
            }
            if servers[mine].channel?.connected == true { receive(mine, theirs) }
        }
        apply(mine)
    }

    private func receive(_ mine: Int, _ theirs: Int) {
        guard var channel = servers[mine].channel, !dice.chance(15) else { return }
        if now / 50 % 20 == 0 { channel.mark += 1 }
        while channel.position < servers[theirs].binlog.count {
            let tx = servers[theirs].binlog[channel.position]
            channel.position += 1
            if tx.gtid.isSubset(of: servers[mine].executed) || tx.gtid.isSubset(of: channel.retrieved) {
                acknowledge(theirs, tx)
                continue
            }
            channel.relay.append(tx)
            channel.retrieved = channel.retrieved.union(tx.gtid)
            channel.mark += 1
            servers[mine].channel = channel
            acknowledge(theirs, tx)
        }
        servers[mine].channel = channel
    }

    /// The replica has it on disk: the primary commits it and tells its client.
    private func acknowledge(_ primary: Int, _ tx: Tx) {
        guard let place = servers[primary].waiting.firstIndex(where: { $0.tx.gtid == tx.gtid }) else { return }
        let entry = servers[primary].waiting.remove(at: place)
        servers[primary].commit(entry.tx)
        told(entry.host, entry.connection, primary, entry.tx)
    }

    private func apply(_ mine: Int) {
        guard var channel = servers[mine].channel, channel.applierWanted, channel.stalledUntil <= now,
            !channel.relay.isEmpty
        else { return }
        // A replica whose own semi-synchronous source waits for nobody applies nothing.
        if servers[mine].semiSync { return }
        let count = min(channel.relay.count, 1 + dice.pick(6))
        for tx in channel.relay.prefix(count) {
            if !tx.gtid.isSubset(of: servers[mine].executed) {
                servers[mine].binlog.append(tx)
                servers[mine].commit(tx)
            }
        }
        channel.relay.removeFirst(count)
        servers[mine].channel = channel
    }

    private func keepPosts(_ agent: Int) {
        guard agents[agent].alive, !agents[agent].frozen else { return }
        for id in ServerID.allCases {
            let server = index(id)
            guard let pong = agents[agent].pong[server] else { continue }
            if servers[server].running, reaches(agent, id), servers[server].posts[agent].open {
                agents[agent].pong[server] = now
                servers[server].posts[agent].heard = now
            } else if !servers[server].up && reaches(agent, id) || now - pong > 1_500
                || servers[server].running && reaches(agent, id)
            {
                agents[agent].pong[server] = nil
            }
            if let part = agents[agent].part, part.server == id, servers[server].running, reaches(agent, id) {
                servers[server].sessions[part.session]?.heard = now
            }
        }
        if let part = agents[agent].part {
            let server = index(part.server)
            let seat = servers[server].sessions[part.session]
            if servers[server].running && reaches(agent, part.server) && seat == nil
                || !servers[server].up && reaches(agent, part.server)
            {
                agents[agent].part = nil
            }
        }
    }

    /// The server ends sessions that it has not heard of, and those whose end has reached it.
    private func expire(_ id: ServerID) {
        let server = index(id)
        guard servers[server].running else { return }
        if let ends = servers[server].guestEnds, ends <= now {
            servers[server].guest = nil
            servers[server].guestEnds = nil
        }
        for agent in agents.indices where servers[server].posts[agent].open {
            let gone = !agents[agent].alive || agents[agent].pong[server] == nil
            if gone, servers[server].posts[agent].ends == nil, passes(2 + agent, server) {
                servers[server].posts[agent].ends = now + dice.within(0...60)
            }
            let seat = servers[server].posts[agent]
            if now - seat.heard > rules.sessionTimeout || seat.ends.map({ $0 <= now }) == true {
                servers[server].posts[agent] = SimServer.Seat()
            }
        }
        for (session, seat) in servers[server].sessions {
            let mine = agents[seat.agent].part.map { $0.server == id && $0.session == session } ?? false
            let gone = !agents[seat.agent].alive || !mine
            if now - seat.heard > 10_000 || gone && passes(2 + seat.agent, server) && now - seat.heard > 60 {
                servers[server].sessions[session] = nil
                if servers[server].lock == session { servers[server].lock = nil }
            }
        }
    }

    private func guardLease(_ agent: Int) {
        guard agents[agent].alive, !agents[agent].frozen, let until = agents[agent].leaseUntil, until <= now else {
            return
        }
        agents[agent].leaseUntil = nil
        stopRouter(agent)
    }
}
