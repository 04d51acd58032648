import MySQLWire
import Watchdog

/// Two servers, some hosts and the network between them, under a virtual clock in milliseconds. Agents run the
/// production `QuorumMachine`, `QuorumPolicy` and `RouterMachine`; everything else is modelled after what real servers were seen to do. One seed is one history.
final class SimWorld {
    enum Event: BitwiseCopyable {
        case tick
        case look(Int, life: Int, Int)
        /// A process stands still.
        case freeze(Int, life: Int)
        case probe(Int, life: Int, Int, Int, Int64)
        case answered(Int, life: Int, Int)
        case listened(Int, life: Int, Int)
        case described(Int, life: Int)
        case loop(Int, life: Int, LoopEvent)
        case deliver(Int)
        case reply(Int, life: Int, Bool)
        case routerWork(Int, life: Int, Int, RouterStage)
        case routerAsked(Int, life: Int, Int)
        case routerReply(Int, life: Int)
        case routerGone(Int, Int)
        case supervisor(Int, life: Int)
        case restart(Int, life: Int)
        case write(Int)
        case intrude(Int)
        case fault(Int)
        case edit(Int)
        case mend(Int)
    }

    var dice: Dice
    var plan: Plan
    var now: Int64 = 0
    var agenda = Agenda<Event>()
    /// Both are touched many times in every event: memory of their own spares the checks of arrays.
    let servers: UnsafeMutableBufferPointer<SimServer>
    let agents: UnsafeMutableBufferPointer<SimAgent>
    /// Which directions are cut: nodes are the servers (0, 1) and then the hosts.
    var links = Links()
    var lossPercent = 0
    var nextSession = 1
    var nextRow: UInt64 = 1
    var nextMark = 0
    /// Statements under way; a place is used again when its statement has arrived.
    var flights: [Flight] = []
    var free: [Int] = []
    var oracle = Oracle()
    var story: [String]?
    /// What the first question of each probe saw, by agent and server.
    var firsts: [ServerFacts?]

    let rules: QuorumRules
    let alteration: Alteration?

    init(seed: UInt64, plan: Plan, alteration: Alteration? = nil, tell: Bool = false) {
        dice = Dice(seed: seed)
        self.alteration = alteration
        self.plan = plan
        story = tell ? [] : nil
        let hosts = plan.agents + (plan.copied == nil ? 0 : 1)
        firsts = Array(repeating: nil, count: hosts * 2)
        let names = plan.list.map { "web\($0 + 1)" }
        let rules = QuorumRules(
            agents: names, own: 0, maxLost: plan.semiSync ? 0 : plan.maxLost, bound: plan.bound,
            fenceCommand: plan.fenceCommand, drainTimeout: 20_000)
        self.rules = rules
        servers = .allocate(capacity: 2)
        servers.initializeElement(at: 0, to: SimServer(.a, agents: plan.agents))
        servers.initializeElement(at: 1, to: SimServer(.b, agents: plan.agents))
        agents = .allocate(capacity: hosts)
        for index in 0..<hosts {
            let place = index < plan.agents ? index : plan.copied ?? 0
            let isMember = plan.list.contains(place)
            let list = isMember ? plan.list : plan.newList ?? plan.list
            agents.initializeElement(
                at: index,
                to: SimAgent(
                    index: index, place: place, list: list, loop: Self.loop(ownRules(place, list), DurableState())))
            guard !isMember else { continue }
            agents[index].isMember = false
            agents[index].alive = false
            agents[index].router.leads = nil
        }
        // The copy of a host is there later.
        if hosts > plan.agents {
            agents[plan.agents].isMember = false
            agents[plan.agents].alive = false
            agents[plan.agents].router.leads = nil
        }
        servers[1].channel = SimServer.Channel(source: .a)
        servers[0].semiSync = plan.semiSync
        if !plan.coldStart {
            servers[0].superReadOnly = false
            servers[0].readOnly = false
        } else {
            for index in agents.indices { agents[index].router.leads = nil }
        }
        begin()
    }

    deinit {
        servers.deinitialize()
        servers.deallocate()
        agents.deinitialize()
        agents.deallocate()
    }

    static let configuration = Configuration.ofModel(.quorum, agent: "web1")
    static let addresses: PerServer<String> = {
        var addresses = PerServer<String>()
        (addresses[.a], addresses[.b]) = ("10.0.0.1:3306", "10.0.0.2:3306")
        return addresses
    }()

    /// The loop of a process that begins with this on its disk.
    static func loop(
        _ rules: QuorumRules, _ disk: DurableState, handed: PerServer<QuorumPolicy.Handover> = .init()
    ) -> QuorumMachine {
        let list = AgentList(digest: rules.agents.joined(), names: rules.agents)
        return QuorumMachine(
            policy: QuorumPolicy(
                rules: rules, configuration: configuration, durable: disk.under(list), handed: handed),
            written: disk)
    }

    private func begin() {
        for index in agents.indices where agents[index].alive {
            moveRouter(index, agents[index].machine.start())
            agenda.add(dice.within(0...900), .look(index, life: 0, 0))
            agenda.add(dice.within(0...300), .write(index))
        }
        for (number, fault) in plan.faults.enumerated() {
            agenda.add(fault.at, .fault(number))
            agenda.add(fault.at + fault.lasts, .mend(number))
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
    func passes(_ from: Int, _ to: Int) -> Bool { links.passes(from, to) }
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
            watchPaths()
            if !oracle.violations.isEmpty { return }
            if case .tick = event, now > plan.healed + 1_500, now / 50 % 10 == 0, isWhole() { return }
            if case .tick = event, now > plan.healed + 20_000, now / 50 % 40 == 0, let why = hold() {
                oracle.held = why
                return
            }
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
        case .look(let agent, let life, let round): if lives(agent, life, event) { look(agent, round) }
        case .probe(let agent, let life, let server, let stage, let asked):
            if lives(agent, life, event) { probe(agent, servers[server].id, stage, asked) }
        case .answered(let agent, let life, let server):
            if lives(agent, life, event) { answered(agent, servers[server].id) }
        case .listened(let agent, let life, let round):
            if lives(agent, life, event), agents[agent].round == round { advance(agent, .listened) }
        case .described(let agent, let life): if lives(agent, life, event) { described(agent, asksSession: true) }
        case .loop(let agent, let life, let what): if lives(agent, life, event) { happened(agent, what) }
        case .freeze(let agent, let life):
            // Unless it is mended already.
            if agents[agent].freezesInLook, lives(agent, life, event) { freeze(agent) }
        case .deliver(let flight): deliver(flight)
        case .reply(let agent, let life, let fine): if lives(agent, life, event) { proceed(agent, fine) }
        case .routerWork(let agent, let life, let work, let stage): routerWork(agent, life, work, stage)
        case .routerAsked(let agent, let life, let ask):
            if agents[agent].life == life { routerAsked(agent, ask) }
        case .routerReply(let agent, let life): if lives(agent, life, event) { routerReplied(agent) }
        case .routerGone(let agent, let process): routerGone(agent, process)
        case .supervisor(let agent, let life): supervise(agent, life)
        case .restart(let agent, let life): if agents[agent].life == life { revive(agent) }
        case .intrude(let server): intrude(server)
        case .write(let agent): write(agent)
        case .edit(let agent): edit(agent, plan.newList ?? plan.list)
        case .fault(let number): strike(plan.faults[number])
        case .mend(let number): mend(plan.faults[number])
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
        if now > plan.healed {
            // What a fence command has turned off is turned on by somebody.
            for server in servers.indices where !servers[server].up && dice.chance(3) {
                servers[server].restart(semiSyncAtBoot: plan.semiSync && plan.semiSyncAtBoot)
            }
        }
        replicate(0)
        replicate(1)
        for agent in agents.indices { keepPosts(agent) }
        expire(.a)
        expire(.b)
        if now / 50 % 2 == 0 { for agent in agents.indices { guardLease(agent) } }
    }

    private func replicate(_ mine: Int) {
        guard servers[mine].channel != nil, servers[mine].running else { return }
        let theirs = 1 - mine
        let reachable = servers[theirs].running && passes(mine, theirs) && passes(theirs, mine)
        if !servers[theirs].up || servers[mine].channel?.process != servers[theirs].process {
            servers[mine].channel?.connected = false
            servers[mine].channel?.process = servers[theirs].process
        }
        if reachable, servers[mine].channel?.receiverWanted == true, servers[mine].channel?.receiverBroken == false {
            if servers[mine].channel?.connected == false, dice.chance(40) {
                servers[mine].channel?.connected = true
                servers[mine].channel?.position = 0
                // A source refuses a replica that has more of the source's own than the source itself.
                if holdsMore(mine, theirs) { servers[mine].channel?.receiverBroken = true }
                watchErrant(mine, theirs)
            }
            if servers[mine].channel?.connected == true { receive(mine, theirs) }
        }
        apply(mine)
    }

    /// Replication by GTID begins only where nothing is held that the source lacks: it would be left there, unsaved.
    private func watchErrant(_ mine: Int, _ theirs: Int) {
        let errant = errant(mine)
        guard !errant.isEmpty, !oracle.errant, servers[mine].promotion?.primary != servers[mine].uuid else { return }
        oracle.violations.append("\(servers[mine].id) replicates and holds \(errant), which its source lacks")
    }

    /// What a server holds and the other lacks, but for what the other made itself.
    func errant(_ mine: Int) -> GTIDSet {
        servers[mine].executed.errant(beside: servers[1 - mine].executed, of: servers[1 - mine].uuid)
    }

    private func holdsMore(_ mine: Int, _ theirs: Int) -> Bool {
        var known = servers[theirs].executed
        for entry in servers[theirs].waiting { known = known.union(entry.tx.gtid) }
        var held = servers[mine].executed
        if let channel = servers[mine].channel { held = held.union(channel.retrieved) }
        return !held.from(uuid: servers[theirs].uuid).isSubset(of: known)
    }

    private func receive(_ mine: Int, _ theirs: Int) {
        let heartbeat = now / 50 % 20 == 0
        guard heartbeat || (servers[mine].channel?.position ?? 0) < servers[theirs].binlog.count, !dice.chance(15),
            var channel = servers[mine].channel
        else { return }
        // Nobody else holds what is changed here: nothing is copied for it.
        servers[mine].channel = nil
        defer { servers[mine].channel = channel }
        if heartbeat { channel.mark += 1 }
        while channel.position < servers[theirs].binlog.count {
            let tx = servers[theirs].binlog[channel.position]
            channel.position += 1
            if !tx.gtid.isSubset(of: servers[mine].executed), !tx.gtid.isSubset(of: channel.retrieved) {
                channel.relay.append(tx)
                channel.retrieved = channel.retrieved.union(tx.gtid)
                channel.mark += 1
            }
            acknowledge(theirs, tx)
        }
    }

    /// The replica has it on disk: the primary commits it and tells its client.
    private func acknowledge(_ primary: Int, _ tx: Tx) {
        guard let place = servers[primary].waiting.firstIndex(where: { $0.tx.gtid == tx.gtid }) else { return }
        let entry = servers[primary].waiting.remove(at: place)
        servers[primary].commit(entry.tx)
        told(entry.host, entry.connection, primary, entry.tx)
    }

    private func apply(_ mine: Int) {
        guard servers[mine].channel?.relay.isEmpty == false, var channel = servers[mine].channel,
            channel.applierWanted, channel.stalledUntil <= now, !channel.applierBroken
        else { return }
        // A replica whose own semi-synchronous source waits for nobody applies nothing.
        if servers[mine].semiSync { return }
        servers[mine].channel = nil
        defer { servers[mine].channel = channel }
        let count = min(channel.relay.count, 1 + dice.pick(6))
        for tx in channel.relay.prefix(count) {
            if !tx.gtid.isSubset(of: servers[mine].executed) {
                servers[mine].binlog.append(tx)
                servers[mine].commit(tx)
            }
        }
        channel.relay.removeFirst(count)
    }

    private func keepPosts(_ agent: Int) {
        guard agents[agent].alive, !agents[agent].frozen else { return }
        for server in 0..<2 {
            let id: ServerID = server == 0 ? .a : .b
            if let pong = agents[agent].pong[server] {
                if servers[server].running, reaches(agent, id), hasSeat(agent, server) {
                    agents[agent].pong[server] = now
                    servers[server].seats[agents[agent].place].heard = now
                } else if !servers[server].up && reaches(agent, id) || now - pong > 1_500
                    || servers[server].running && reaches(agent, id)
                {
                    agents[agent].pong[server] = nil
                }
            }
            guard servers[server].running, reaches(agent, id) else { continue }
            if let ledgerSession = agents[agent].ledgerSession, ledgerSession.server == id {
                servers[server].sessions[ledgerSession.session]?.heard = now
            }
            if let guest = agents[agent].guest, guest.server == id, servers[server].guest?.session == guest.session {
                servers[server].guest?.heard = now
            }
        }
        if let ledgerSession = agents[agent].ledgerSession, reaches(agent, ledgerSession.server) {
            let server = index(ledgerSession.server)
            let seat = servers[server].sessions[ledgerSession.session]
            if servers[server].running && seat == nil || !servers[server].up { agents[agent].ledgerSession = nil }
        }
    }

    /// Whether the server has this host's lock session, and not another's of the same name.
    func hasSeat(_ agent: Int, _ server: Int) -> Bool {
        let seat = servers[server].seats[agents[agent].place]
        return seat.open && seat.agent == agent
    }

    /// The server ends sessions that it has not heard of, and those whose end has reached it.
    private func expire(_ id: ServerID) {
        let server = index(id)
        guard servers[server].running else { return }
        for place in servers[server].seats.indices where servers[server].seats[place].open {
            let agent = servers[server].seats[place].agent
            let gone = !agents[agent].alive || agents[agent].pong[server] == nil
            if gone, servers[server].seats[place].ends == nil, passes(2 + agent, server) {
                servers[server].seats[place].ends = now + dice.within(0...60)
            }
            let seat = servers[server].seats[place]
            if now - seat.heard > rules.sessionTimeout || seat.ends.map({ $0 <= now }) == true {
                servers[server].seats[place] = SimServer.Seat()
            }
        }
        for (session, seat) in servers[server].sessions.all {
            let mine = agents[seat.agent].ledgerSession.map { $0.server == id && $0.session == session } ?? false
            let gone = !agents[seat.agent].alive || !mine
            if now - seat.heard > 10_000 || gone && passes(2 + seat.agent, server) && now - seat.heard > 60 {
                servers[server].sessions[session] = nil
                if servers[server].lock == session { servers[server].lock = nil }
            }
        }
        if let guest = servers[server].guest {
            let gone = !agents[guest.agent].alive || agents[guest.agent].guest?.session != guest.session
            if now - guest.heard > 10_000 || gone && passes(2 + guest.agent, server) && now - guest.heard > 60 {
                servers[server].guest = nil
            }
        }
    }

    /// The lease's guard, that of a process which stands still excepted.
    private func guardLease(_ agent: Int) {
        guard agents[agent].alive, !agents[agent].frozen else { return }
        moveRouter(agent, agents[agent].machine.tick(at: now - agents[agent].born))
        guard plan.bound, agents[agent].machine.isPastLimit(at: now - agents[agent].born) else { return }
        tell("\(agents[agent].name) ends itself: its router is not closed")
        kill(agent)
        agenda.add(now, .supervisor(agent, life: agents[agent].life))
        agenda.add(now + dice.within(2_000...4_000), .restart(agent, life: agents[agent].life))
    }
}
