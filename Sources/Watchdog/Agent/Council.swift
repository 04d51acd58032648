import Logging
import MySQLWire
import Synchronization

/// The loop of the agents' initiative: look, ask `Govern`, carry its orders out. Whatever takes longer than a look (the
/// router, a rebuild) goes on beside it, so that votes and leases are kept up meanwhile.
actor Council {
    private let configuration: Configuration
    private let logger: Logger
    private let rules: QuorumRules
    private let looks: PerServer<ServerLook>
    private let part: Part
    private let act: Act
    private let hand: RouterHand
    private let memory: KeptWriter
    private var govern: Govern
    private var written: Kept
    private var writtenAt = ContinuousClock.now
    private var lookouts: [ServerID: Lookout] = [:]
    private var silent: [ServerID: ServerView] = [:]
    private var recorded: [ServerID: Bool] = [:]
    private var closingTried = Deadline.after(.zero)
    private var listsAsked: [ServerID: Deadline] = [:]
    private var posts: [ServerID: Post] = [:]
    private var pingers: [ServerID: Task<Void, Never>] = [:]
    private var opening: [ServerID: Task<Void, Never>] = [:]
    private let born = ContinuousClock.now
    private let bell: Bell
    /// Making the agents' tables, and when that may be tried again.
    private var events: (task: Task<Void, Never>?, next: Deadline) = (nil, .after(.seconds(2)))
    private var tables: (task: Task<Void, Never>?, next: Deadline) = (nil, .after(.zero))
    private var lastStep: Step?
    private var lastState: String?
    private var fenced: (epoch: UInt64, done: Bool)?
    private var long: Task<Void, Never>?
    private var failures = 0
    private var quietUntil = Deadline.after(.zero)
    private let leaseGuard: LeaseGuard
    private let writes: WriteProbe
    private var hung: ServerID?
    /// Since when a server that answers an older session has greeted no new one.
    private var closedToNew: [ServerID: (trouble: LoginTrouble, since: ContinuousClock.Instant)] = [:]
    private var toldClosedToNew: [ServerID: LoginTrouble] = [:]
    private var lastStanding: Standing

    /// Looks follow each other this closely while something is under way.
    private static let quick = Duration.milliseconds(60)

    /// - Parameter lease: the end of that by which the router is open already.
    init(
        configuration: Configuration, logger: Logger, lease: ContinuousClock.Instant? = nil
    ) throws(AgentError) {
        self.configuration = configuration
        self.logger = logger
        let rules = QuorumRules(configuration)
        self.rules = rules
        let probe = QuorumProbe(configuration)
        let timeout = configuration.agent.probeTimeout
        looks = [.a: ServerLook(probe, timeout: timeout), .b: ServerLook(probe, timeout: timeout)]
        let router = RouterControl(configuration: configuration)
        act = Act(configuration: configuration, router: router, logger: logger)
        part = Part(configuration: configuration, act: act, logger: logger)
        let bell = Bell()
        self.bell = bell
        hand = RouterHand(configuration, router, logger) { bell.ring() }
        leaseGuard = LeaseGuard(hand)
        leaseGuard.set(lease)
        writes = WriteProbe(configuration)
        lastStanding = Standing(agent: configuration.agent.name)
        let file = KeptFile(directory: configuration.workingDirectory)
        memory = KeptWriter(file)
        written = try file.read()
        govern = Govern(
            rules: rules, configuration: configuration, kept: written.under(ConfigurationDigest(configuration).own))
    }

    /// - Parameter leaving: ends it too, as soon as no step is under way.
    /// - Returns: the end of the lease by which the router is open; nil while it needs none.
    @discardableResult
    func untilCancelled(or leaving: Flag = Flag()) async -> ContinuousClock.Instant? {
        let leaseGuard = leaseGuard
        let writes = writes
        let watching = Task { await leaseGuard.watch() }
        let writing = Task { await writes.watch() }
        let asking = Task { await hand.ask() }
        while !Task.isCancelled, !leaving.isUp || long != nil {
            let began = ContinuousClock.now
            let urgent = await round()
            let rest = (urgent ? Self.quick : configuration.agent.interval) - began.duration(to: .now)
            await bell.wait(max(rest, .milliseconds(10)))
        }
        long?.cancel()
        await long?.value
        for task in [tables.task, events.task] {
            task?.cancel()
            await task?.value
        }
        writing.cancel()
        await writing.value
        await asking.value
        await hand.rest()
        await part.leave()
        for id in ServerID.allCases { await looks[id]?.close() }
        for post in posts.values { post.close() }
        for pinger in pingers.values { pinger.cancel() }
        watching.cancel()
        await watching.value
        return leaseGuard.end
    }

    private func clock(_ instant: ContinuousClock.Instant = .now) -> Int64 { born.duration(to: instant).milliseconds }

    // MARK: One round

    private func round() async -> Bool {
        for id in ServerID.allCases where lookouts[id] == nil { lookouts[id] = look(at: id) }
        let (a, askedA) = await take(.a)
        let (b, askedB) = await take(.b)
        let seen = await Observation(a: a, b: b, router: hand.view)
        let sight = Sight(
            seen: seen, askedAt: min(askedA, askedB), now: clock(), pongA: posts[.a]?.pong.map { clock($0) },
            pongB: posts[.b]?.pong.map { clock($0) }, routerCut: await hand.isCut,
            stall: stall(seen))
        var standing = lastStanding
        // What is decided without knowing what this agent holds now is not done, even if the step has ended meanwhile.
        let busy = long != nil
        if !busy {
            standing = Standing(agent: configuration.agent.name)
            await part.describe(&standing)
            lastStanding = standing
        }
        standing.routerFailed = await hand.failed
        if let epoch = seen.activeLedger?.master?.epoch, fenced?.epoch == epoch { standing.fenced = fenced?.done }
        man(seen)

        var orders = govern(sight, standing)
        do {
            try await remember(govern.kept)
        } catch {
            // What is not on disk is not promised: nothing that rests on it may be done.
            logger.error("the state cannot be kept", metadata: ["error": "\(error)"])
            orders.step = .none("the state cannot be kept")
            orders.locks = .init()
        }
        let primary = govern.primary
        writes.aim(at: primary.flatMap { seen.facts($0)?.readOnly == false ? $0 : nil })
        leaseGuard.set(
            orders.router == .cut || govern.needsNoLease
                ? nil : born.advanced(by: .milliseconds(govern.leaseUntil)))
        await giveBack(orders.locks)
        if orders.router == .cut { await hand.cut() }
        await take(orders.locks)
        // Disk and locks may have taken their time: the lease was reckoned before.
        if case .lead(let id) = orders.router, clock() < govern.leaseUntil, let uuid = seen.facts(id)?.uuid {
            await hand.lead(to: id, uuid: uuid)
        }
        report(sight, orders)
        keepTables(sight)
        keepEvents(sight)
        let acted = busy ? false : await carryOut(orders.step, sight)
        return orders.urgent || acted
    }

    /// The primary's writes hang, or nobody new is greeted there, which is as good as hanging for an application.
    private func stall(_ seen: Observation) -> (ServerID, Int64)? {
        for id in ServerID.allCases {
            guard let trouble = seen.facts(id)?.quorum?.login else {
                closedToNew[id] = nil
                continue
            }
            closedToNew[id] = (trouble, closedToNew[id]?.since ?? .now)
        }
        if let hanging = writes.hanging { return (hanging.server, clock() - clock(hanging.since)) }
        guard let primary = govern.primary, let new = closedToNew[primary], case .notGreeted = new.trouble else {
            return nil
        }
        return (primary, clock() - clock(new.since))
    }

    /// A question to one server that is under way.
    private struct Lookout {
        let asked: Int64
        let answer = Answer()
        var task: Task<Void, Never>?

        final class Answer: Sendable {
            private let box = Mutex<ServerView?>(nil)
            var view: ServerView? { box.withLock { $0 } }
            func put(_ view: ServerView) { box.withLock { $0 = view } }
        }
    }

    private func look(at id: ServerID) -> Lookout {
        var lookout = Lookout(asked: clock())
        guard let look = looks[id] else { return lookout }
        let answer = lookout.answer
        let options = configuration.connectionOptions(configuration.servers[id])
        let lists = (listsAsked[id] ?? .after(.zero)).hasPassed
        if lists { listsAsked[id] = .after(.seconds(5)) }
        let about = QuorumProbe.About(
            recorded: recorded[id] ?? false, member: govern.kept.uuids[id] ?? "",
            members: Set(ServerID.allCases.compactMap { govern.kept.uuids[$0] }), lists: lists,
            foreign: govern.kept.foreign)
        lookout.task = Task { answer.put(await look.look(options, about)) }
        return lookout
    }

    /// What a server says. One that was silent the last time is not waited for: what it says counts when it comes, from
    /// the moment when it was asked, and until then it is silent still.
    private func take(_ id: ServerID) async -> (ServerView, Int64) {
        guard let lookout = lookouts[id] else { return (.downSoft("not asked"), clock()) }
        if let last = silent[id] {
            let end = Deadline.after(.milliseconds(40))
            while lookout.answer.view == nil, !end.hasPassed { try? await Task.sleep(for: .milliseconds(4)) }
            guard lookout.answer.view != nil else { return (last, clock()) }
        } else {
            await lookout.task?.value
        }
        lookouts[id] = nil
        let view = lookout.answer.view ?? .downSoft("no answer")
        if let quorum = view.facts?.quorum { recorded[id] = quorum.recorded }
        switch view {
        case .downSoft, .stalled: silent[id] = view
        case .up, .refusing, .downHard, .ownFault: silent[id] = nil
        }
        return (view, lookout.asked)
    }

    /// Disk before deed; what may be lost (how far the primary was seen) only every few seconds.
    private func remember(_ kept: Kept) async throws(AgentError) {
        guard kept.differsInPromises(from: written) || kept != written && writtenAt.duration(to: .now) > .seconds(5)
        else { return }
        try await memory.write(kept)
        written = kept
        writtenAt = .now
    }

    // MARK: Posts

    /// Opens a post where a server answers and none is held; beside the loop.
    private func man(_ seen: Observation) {
        for id in ServerID.allCases {
            if let post = posts[id], post.pong == nil {
                posts[id] = nil
                pingers[id]?.cancel()
            }
            guard posts[id] == nil, opening[id] == nil, seen.facts(id) != nil else { continue }
            opening[id] = Task { await self.open(id) }
        }
    }

    private func open(_ id: ServerID) async {
        defer { opening[id] = nil }
        do {
            guard
                let post = try await Post.open(
                    configuration, id, logger: logger, deadline: .after(configuration.agent.probeTimeout))
            else {
                logger.info("another session of this agent's name is present", metadata: ["server": "\(act.name(id))"])
                return
            }
            guard !Task.isCancelled, posts[id] == nil else { return post.close() }
            posts[id] = post
            let bell = bell
            pingers[id] = Task {
                await post.ping()
                bell.ring()
            }
            bell.ring()
        } catch {
            logger.info("no post", metadata: ["server": "\(act.name(id))", "error": "\(error)"])
        }
    }

    private func wanted(_ locks: Orders.Locks, _ id: ServerID) -> Set<QuorumLocks.Kind> {
        var set: Set<QuorumLocks.Kind> = []
        if locks.alive == id { set.insert(.alive) }
        if locks.async == id { set.insert(.async) }
        if locks.voteOn == id, let vote = locks.vote { set.insert(vote == .cut ? .cut : .dead) }
        return set
    }

    /// Locks that are not wanted any more. A post that cannot give one back is closed: the server takes it.
    private func giveBack(_ locks: Orders.Locks) async {
        for (id, post) in posts {
            for kind in await post.held.subtracting(wanted(locks, id)) {
                do { try await post.hold(kind, false) } catch { post.close() }
            }
        }
    }

    private func take(_ locks: Orders.Locks) async {
        for (id, post) in posts {
            for kind in wanted(locks, id).subtracting(await post.held) {
                do {
                    try await post.hold(kind, true)
                } catch {
                    logger.info("lock not taken", metadata: ["lock": "\(kind)", "error": "\(error)"])
                }
            }
        }
    }

    // MARK: What is kept on the servers

    /// Beside the loop, and not more often than each minute: what keeps them from being made may last.
    private func keepTables(_ sight: Sight) {
        guard tables.task == nil, tables.next.hasPassed, long == nil, let primary = govern.tablesWanted(sight) else {
            return
        }
        tables = (Task { await self.makeTables(primary) }, .after(.seconds(60)))
    }

    /// Beside the loop too, and every ten seconds at most: what has changed since is not on record yet.
    private func keepEvents(_ sight: Sight) {
        guard events.task == nil, events.next.hasPassed, long == nil, let primary = govern.quietPrimary(sight) else {
            return
        }
        events = (Task { await self.listEvents(primary) }, .after(.seconds(10)))
    }

    private func listEvents(_ primary: ServerID) async {
        do {
            try await act.keepEvents(primary)
        } catch {
            logger.info("the list of events is not kept", metadata: ["error": "\(error)"])
        }
        events.task = nil
    }

    private func makeTables(_ primary: ServerID) async {
        do {
            try await act.makeTables(primary)
        } catch {
            logger.info("the agents' tables are not there yet", metadata: ["error": "\(error)"])
        }
        tables.task = nil
    }

    // MARK: Steps

    /// - Returns: whether something was done, so that the next look should come at once.
    private func carryOut(_ step: Step, _ sight: Sight) async -> Bool {
        guard long == nil else { return false }
        switch step {
        case .none:
            await part.leave()
            return false
        case .wait: return true
        case .scan, .lock, .master: if !quietUntil.hasPassed { return false }
        default: break
        }
        let ledger = sight.seen.activeLedger
        let primary = govern.primary
        let context = Part.Context(
            seen: sight.seen, epoch: ledger?.master?.epoch ?? 0, nextEpoch: govern.nextEpochForMaster(sight.seen),
            witness: .init(executed: govern.kept.executed, sync: govern.kept.sync), primary: primary, ledger: ledger,
            foreign: govern.kept.foreign)
        // Whatever a server makes of it, the loop goes on.
        long = Task { await self.finish(step, context) }
        return true
    }

    private func finish(_ step: Step, _ context: Part.Context) async {
        await attempt(step, context)
        long = nil
        bell.ring()
    }

    private func attempt(_ step: Step, _ context: Part.Context) async {
        do {
            switch step {
            case .fenceCommand(let server):
                fenced = (context.epoch, await act.fenceCommand(server))
            case .loosen(let server):
                if let post = posts[server] { try await act.loosen(server, post: post, foreign: govern.kept.foreign) }
            case .tighten(let server):
                if let post = posts[server] { try await act.tighten(server, post: post) }
            case .startClosed(let server):
                // Wanted, and no reason to hold anything else up: its privilege may be missing.
                guard closingTried.hasPassed, let post = posts[server] else { break }
                closingTried = .after(.seconds(60))
                await act.startClosed(server, post: post)
            case .calm(let server):
                if let post = posts[server] { try await act.calm(server, post: post) }
            default: try await part.perform(step, context)
            }
            failures = 0
            // What was called off is left alone for a moment.
            if case .abort = step { quietUntil = .after(.seconds(3)) }
        } catch {
            logger.error("step failed", metadata: ["step": "\(step)", "error": "\(error)"])
            failures += 1
            if failures >= 3 {
                // Others may have a better road.
                failures = 0
                quietUntil = .after(.seconds(10))
                await part.leave()
            } else {
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    // MARK: Reports

    /// Writes that hang change no state by themselves: they are reported, and what follows is `stalled_after`.
    private func reportHang() {
        let now = writes.hanging?.server
        guard now != hung else { return }
        if let now {
            logger.error(
                "writes hang",
                metadata: [
                    "server": "\(act.name(now))",
                    "remedy": "see its disks, the binary log's as well, and who holds a global read lock",
                ])
        } else if let hung {
            logger.notice("writes do not hang any more", metadata: ["server": "\(act.name(hung))"])
        }
        hung = now
    }

    private func reportLogins() {
        for id in ServerID.allCases where closedToNew[id]?.trouble.kind != toldClosedToNew[id]?.kind {
            let trouble = closedToNew[id]?.trouble
            toldClosedToNew[id] = trouble
            if let trouble {
                logger.error(
                    "no new session, an older one is asked",
                    metadata: ["server": "\(act.name(id))", "why": "\(trouble.text)"])
            } else {
                logger.notice("new sessions come to be again", metadata: ["server": "\(act.name(id))"])
            }
        }
    }

    private static var times: Regex<Substring> { #/\d+ m?s\b/# }

    /// With why nothing is done, if something stands in the way.
    private static func text(_ step: Step) -> String {
        if case .none(let why) = step, !why.isEmpty, why != "\(step)" { return "\(step): \(why)" }
        return "\(step)"
    }

    private func report(_ sight: Sight, _ orders: Orders) {
        let diagnosis = govern.diagnosis(sight)
        if diagnosis.state.rawValue != lastState {
            lastState = diagnosis.state.rawValue
            logger.notice(
                "state",
                metadata: [
                    "state": "\(diagnosis.state.rawValue)", "why": "\(diagnosis.evidence.joined(separator: "; "))",
                ])
        }
        reportHang()
        reportLogins()
        guard orders.step != lastStep else { return }
        defer { lastStep = orders.step }
        switch orders.step {
        case .none, .wait:
            // Seconds that pass are no news.
            let text = Self.text(orders.step)
            guard text.replacing(Self.times, with: "") != lastStep.map(Self.text)?.replacing(Self.times, with: "")
            else { return }
            logger.info("step", metadata: ["step": "\(text)"])
        default: logger.notice("step", metadata: ["step": "\(orders.step)"])
        }
    }
}
