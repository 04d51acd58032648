/// One agent's part in quorum mode. Pure: it is given looks and answers with orders; it has no clock, no
/// socket and no disk. `durable` is what its owner keeps on disk and hands in again after a restart.
///
/// Three rules decide where clients may write. `Scripts/mutate` breaks each in a copy, and the simulation notices:
/// 1. A router is open only while its agent holds a lease: it saw a majority of `alive` locks on the primary, or read
///    on the replica that nobody leads a failover, a short while ago (`QuorumPolicy+Lease`).
/// 2. An agent that follows a failover attempt has turned away from the primary before, and promises on disk not to come back before it
///    has read how the failover attempt ended (`DurableState.Promise`).
/// 3. A server is opened by the holder of the operation lock only, when the other one is seen to be closed, or every
///    agent has promised, or a majority has and everybody else's lease is over (`QuorumPolicy+Lead`).
package struct QuorumPolicy: Sendable {
    package let rules: QuorumRules
    let configuration: Configuration
    package internal(set) var durable: DurableState

    // What is remembered from look to look, and lost with the process.
    var tracks = PerServer<Track>()
    package internal(set) var lease = RouterLease()
    /// The primary's own transactions that its replica was seen to hold, whether the primary was seen to have them or not.
    package private(set) var copied = CopiedTransactions()
    var timers = OperationTimers()
    var applierStops = PerServer<ApplierStops>()
    private var lists = ListWatch()
    /// A process of the replica that has been seen, and what the primary had executed after that.
    private var catchingUp: (started: Int64, wanted: GTIDSet?)?
    /// The server whose promotion this look has found on record there, and the look before had not.
    var freshlyPromoted: ServerID?
    var waitingSince: Int64?
    /// What those who followed this agent's attempt knew to be lost: it does not begin another for nothing.
    var refusal: String?
    private var pressure: (what: Pressure, since: Int64)?
    private let handed: PerServer<Handover>

    /// What is going on that makes the agent look often.
    private struct Pressure: Equatable {
        var evidence: Assessment.Evidence?
        /// The newest row of an operation's ledger.
        var rows: UInt64?
        /// The primary does not answer.
        var fading = false
    }

    /// How long it looks often while nothing changes.
    private static let hurry: Int64 = 30_000

    /// What is known of a server's life.
    struct Track: Sendable {
        /// The last proof of life; at first, when the agent began to look.
        var life: Int64
        var refusals = 0
        /// Since when every look has been refused.
        var refusedSince: Int64?
        var mark: UInt64 = 0
        var markAt: Int64?
        /// When the last look that had an answer was asked for.
        var answered: Int64?
        /// It was seen to start with super_read_only.
        var startsClosed = false
        /// Whether it let clients in, or was in offline_mode; nil where no look had an answer.
        var admits: Bool?

        init(_ handed: Handover?, now: Int64) {
            life = now - (handed?.silence ?? 0)
            guard let handed, let age = handed.markAge else { return }
            (mark, markAt) = (handed.mark, now - age)
        }

        func handover(at now: Int64) -> Handover {
            Handover(silence: max(0, now - life), mark: mark, markAge: markAt.map { now - $0 })
        }
    }

    /// What is handed over of a server's life to a policy that goes on with another configuration. Ages in milliseconds:
    /// what lies between the two is not among them, for nobody looked.
    package struct Handover: Sendable {
        /// For how long it has given no proof of life.
        package var silence: Int64
        /// The mark of its receiver, and how old it is.
        package var mark: UInt64 = 0
        package var markAge: Int64?
    }

    /// - Parameter handed: what a policy before this one knew of the servers.
    package init(
        rules: QuorumRules, configuration: Configuration, durable: DurableState, handed: PerServer<Handover> = .init()
    ) {
        self.rules = rules
        self.configuration = configuration
        self.durable = durable
        self.handed = handed
    }

    /// What to do after a look.
    package mutating func decide(_ observation: TimedObservation, _ local: LocalStatus) -> Orders {
        learn(observation)
        copied.note(observation.seen, primary: durable.primary, uuids: durable.uuids)
        durable.foreign = lists.after(observation, durable.foreign, own: rules.agents)
        track(observation)
        noteStops(observation)
        endPromise(observation)
        let assessment = Assessment(observation, self)
        noteSync(assessment)
        if assessment.evidence == nil { refusal = nil }
        noteWaiting(assessment)
        renewLease(assessment)
        var orders = Orders()
        orders.step = step(assessment, local)
        promise(orders.step, assessment)
        orders.locks = locks(assessment)
        orders.router = router(assessment, orders.locks)
        orders.urgent = isUrgent(assessment)
        return orders
    }

    /// Whether the next look should come at once: something is going on, and has changed a short while ago. A rebuild
    /// goes on for hours and a lost primary may be held for an operator: nothing is gained then by asking the survivor
    /// twenty times a second.
    private mutating func isUrgent(_ assessment: Assessment) -> Bool {
        let now = Pressure(
            evidence: assessment.evidence, rows: assessment.ledger?.rows.last?.id,
            fading: assessment.primary.map { mayBeLost(assessment, $0) } ?? false
        )
        guard now != Pressure() else {
            pressure = nil
            return false
        }
        if pressure?.what != now { pressure = (now, assessment.now) }
        return pressure.map { assessment.now - $0.since < Self.hurry } ?? false
    }

    /// A primary that may be about to be lost. A connection that was reset on its way in is no refusal yet, and no
    /// reason to wait for a whole interval either.
    private func mayBeLost(_ assessment: Assessment, _ primary: ServerID) -> Bool {
        switch assessment.observation.seen[primary] {
        case .downHard, .downSoft, .stalled: return true
        case .up, .refusing, .ownFault:
            return tracks[primary].map { assessment.now - $0.life > rules.downAfter / 2 } ?? false
        }
    }

    // MARK: What a look teaches

    private mutating func learn(_ observation: TimedObservation) {
        let isNew = !durable.isInformed
        if isNew { forget() }
        defer { if isNew { inform(observation) } }
        durable.operation = max(durable.operation, observation.seen.highestEpoch)
        freshlyPromoted = nil
        for id in ServerID.allCases {
            guard let facts = observation.seen.facts(id), !isStranger(id, observation.seen) else { continue }
            // One that goes by the other's name is a copied data directory: which is which would not be known any more
            // once one of them is silent. Two that go by each other's have changed places in the configuration.
            if durable.uuids[id] != facts.uuid,
                observation.seen.facts(id.other)?.uuid ?? durable.uuids[id.other] != facts.uuid
            {
                durable.uuids[id] = facts.uuid
            }
            if let promotion = facts.promotion, promotion.epoch > durable.epoch {
                durable.epoch = promotion.epoch
                durable.primary = promotion.primary
                durable.executed = GTIDSet()
                durable.sync = false
                if promotion.primary == facts.uuid, let last = tracks[id]?.answered,
                    observation.now - last <= rules.freshPromotion
                {
                    freshlyPromoted = id
                }
            }
        }
        // Before the first promotion the primary is who the other one replicates from.
        guard durable.primary.isEmpty else { return }
        for id in ServerID.allCases {
            guard let facts = observation.seen.facts(id), facts.channels.count == 1, facts.rebuilding == nil,
                let source = facts.channels.first, !source.sourceUUID.isEmpty,
                observation.seen.facts(id.other).map({ $0.uuid == source.sourceUUID && $0.channels.isEmpty }) ?? true,
                durable.uuids[id.other].map({ $0 == source.sourceUUID }) ?? true
            else { continue }
            durable.uuids[id.other] = source.sourceUUID
            durable.primary = source.sourceUUID
        }
    }

    /// What an agent that is not informed has seen counts for that look: a server that is alone may tell it anything.
    private mutating func forget() {
        var new = DurableState()
        (new.list, new.foreign, new.promise) = (durable.list, durable.foreign, durable.promise)
        (new.operation, new.executed) = (durable.operation, durable.executed)
        durable = new
    }

    private mutating func inform(_ observation: TimedObservation) {
        let seen = observation.seen
        for id in ServerID.allCases {
            guard let facts = seen.facts(id), facts.uuid != durable.primary else { continue }
            recallPromise(id, facts)
        }
        let both = ServerID.allCases.allSatisfy { seen.facts($0) != nil && !isStranger($0, seen) }
        let isTold = ServerID.allCases.contains { seen.facts($0)?.quorum?.trustAsked == true }
        for id in ServerID.allCases where durable.primary.isEmpty {
            // No promotion is on record, and no replica says whose it is.
            guard let facts = seen.facts(id), facts.quorum?.trustAsked == true, facts.channels.isEmpty,
                facts.rebuilding == nil
            else { continue }
            (durable.primary, durable.uuids[id]) = (facts.uuid, facts.uuid)
        }
        durable.isInformed = both || isTold
    }

    /// Rows of its own in a failover attempt say that it has promised, and what was on disk is gone.
    private mutating func recallPromise(_ id: ServerID, _ facts: ServerFacts) {
        guard Ledger.failoverAttempt(facts.ledger, on: id, after: durable.epoch) != nil else { return }
        var epoch = max(durable.epoch, durable.promise?.epoch ?? 0)
        let known = epoch
        for row in facts.ledger ?? [] where row.agent == rules.name {
            switch row.signal {
            case .mast, .folo: epoch = max(epoch, row.epoch)
            case .scan, .maok, .fook, .targ, .oper: break
            }
        }
        guard epoch > known else { return }
        durable.promise = DurableState.Promise(epoch: epoch, on: id)
    }

    /// Whether another server has been given this address.
    func isStranger(_ id: ServerID, _ seen: Observation) -> Bool {
        if !durable.isInformed, let one = seen.facts(id), let other = seen.facts(id.other) {
            // Nobody knows which of them it is, unless an operator has said it.
            return one.quorum?.trustAsked != true && Stranger.isOne(one, history: other.executed)
                && Stranger.isOne(other, history: one.executed)
        }
        guard let facts = seen.facts(id), facts.uuid != durable.uuids[id], facts.uuid != durable.primary,
            !durable.primary.isEmpty
        else { return false }
        return Stranger.isOne(facts, history: durable.executed.union(seen.facts(id.other)?.executed ?? GTIDSet()))
    }

    package func handover(at now: Int64) -> PerServer<Handover> {
        var out = PerServer<Handover>()
        for id in ServerID.allCases { out[id] = tracks[id]?.handover(at: now) }
        return out
    }

    private mutating func track(_ observation: TimedObservation) {
        for id in ServerID.allCases {
            var track = tracks[id] ?? Track(handed[id], now: observation.now)
            if let pong = observation.pong(id) { track.life = max(track.life, pong) }
            switch observation.seen[id] {
            case .up(let facts):
                track.life = observation.now
                track.refusals = 0
                track.answered = observation.askedAt
                track.admits = !facts.isOffline
                track.startsClosed = facts.quorum?.bootsClosed ?? true
                if let mark = facts.quorum?.receiverMark, mark != track.mark || track.markAt == nil {
                    // The first mark of a life says nothing about when it was made.
                    track.markAt = observation.now - (track.markAt == nil ? rules.vouch : 0)
                    track.mark = mark
                }
            case .refusing:
                track.life = observation.now
                track.refusals = 0
            case .downHard: track.refusals = observation.pong(id) == nil ? track.refusals + 1 : 0
            case .stalled, .downSoft: track.refusals = 0
            case .ownFault:
                // Nothing can be said about the server; its silence is not counted either.
                track.refusals = 0
                track.life = observation.now
            }
            track.refusedSince = track.refusals > 0 ? track.refusedSince ?? observation.now : nil
            tracks[id] = track
        }
    }

    /// A promise ends when its server says how the failover attempt ended: with a promotion, or with no ledger left.
    private mutating func endPromise(_ observation: TimedObservation) {
        guard let promise = durable.promise else { return }
        if durable.epoch >= promise.epoch { durable.promise = nil }
        // A look that was asked for before this agent's own row was written shows no attempt either.
        guard observation.isSettled, let facts = observation.seen.facts(promise.on), facts.rebuilding == nil else {
            return
        }
        if Ledger.failoverAttempt(facts.ledger, on: promise.on) == nil { durable.promise = nil }
    }

    private mutating func noteSync(_ assessment: Assessment) {
        guard let primary = assessment.primary, let facts = assessment.facts(primary), let quorum = facts.quorum,
            facts.uuid == durable.primary, !facts.superReadOnly
        else { return }
        let new = facts.executed
        if durable.executed != new, assessment.isComplete { durable.executed = new }
        switch quorum.semiSync.acknowledgement(of: durable.uuids[primary.other]) {
        case _ where !quorum.semiSync.guarantees: durable.sync = false
        case .elsewhere?, .unnamed?: durable.sync = false
        // Only after this agent's leave for the primary to go on alone is seen to be taken back.
        case .replica? where !quorum.async.contains(rules.own): noteReplicaLife(assessment, primary, new)
        case .replica?, nil: break
        }
    }

    /// What a replica has acknowledged may be lost with its process: what it received and had not applied, or not synced.
    /// `sync` holds for the process that has been seen, after it was, to have all that the primary had.
    private mutating func noteReplicaLife(_ assessment: Assessment, _ primary: ServerID, _ executed: GTIDSet) {
        guard let replica = assessment.facts(primary.other), let started = replica.quorum?.started else { return }
        if durable.sync, durable.replicaStarted.map({ Self.isSameStart($0, started) }) == true { return }
        if catchingUp.map({ Self.isSameStart($0.started, started) }) != true {
            catchingUp = (started, nil)
            return
        }
        let arrived = replica.channels.reduce(replica.executed) { $0.union($1.retrieved) }
        let wanted = catchingUp?.wanted ?? executed
        catchingUp?.wanted = wanted
        guard wanted.isSubset(of: arrived) else { return }
        (durable.sync, durable.replicaStarted, catchingUp) = (true, started, nil)
    }

    /// Reckoned from two clocks' seconds.
    private static func isSameStart(_ one: Int64, _ other: Int64) -> Bool { one.distance(to: other).magnitude <= 2 }

    /// Nothing acknowledged is lost on this replica, as this agent knows.
    func isSynced(_ replica: ServerFacts) -> Bool {
        guard durable.sync, let then = durable.replicaStarted else { return durable.sync }
        // One that cannot say when it was started (performance_schema is off) was started anew to become so.
        guard let now = replica.quorum?.started else { return replica.quorum?.keepsReceived == true }
        return Self.isSameStart(then, now) || replica.quorum?.keepsReceived == true
    }

    /// How long the primary has been without a replica that acknowledges, or without as many as its commits wait for.
    /// After a while this agent puts on disk that the primary may go on without it; when a majority has, it may.
    private mutating func noteWaiting(_ assessment: Assessment) {
        // A replica whose path is cut is still counted as a client for a while: then commits that wait, and a receiver
        // that hears nothing, tell.
        guard let primary = assessment.primary, let quorum = assessment.facts(primary)?.quorum, quorum.semiSync.enabled,
            !quorum.semiSync.hasEnoughClients
                || quorum.semiSync.waiting > 0 && !hears(assessment, primary.other, within: rules.asyncAfter)
                || isLeaving(assessment, primary),
            // One that may not be opened acknowledges nothing, and needs no leave.
            durable.promise == nil, assessment.evidence != .incomplete
        else {
            waitingSince = nil
            return
        }
        let since = waitingSince ?? assessment.now
        waitingSince = since
        if assessment.now - since >= rules.asyncAfter { durable.sync = false }
    }

    /// The replica acknowledges still, but only a rebuild mends it, and the one who does that waits for leave to take it
    /// away: its commits need not hang for that. A half-made copy may replicate, where its rebuild ended with the marker
    /// still there.
    private func isLeaving(_ assessment: Assessment, _ primary: ServerID) -> Bool {
        guard let ledger = assessment.ledger, ledger.server == primary, ledger.kind == .recover,
            ledger.master?.alive == true, let replica = assessment.facts(primary.other)
        else { return false }
        return replica.rebuilding != nil || replica.channels.first?.dataDiffer == true
    }

    /// Whether a replica's receiver has been seen to hear from its source a short while ago.
    func hears(_ assessment: Assessment, _ replica: ServerID, within time: Int64) -> Bool {
        guard assessment.facts(replica)?.channels.first?.receiver == .on, let track = tracks[replica] else {
            return false
        }
        return track.markAt.map { assessment.now - time < $0 } ?? false
    }

    /// Whether this agent has put on disk that the primary may go on without its replica.
    func allowsAsync(_ assessment: Assessment) -> Bool {
        guard let since = waitingSince else { return false }
        return assessment.now - since >= rules.asyncAfter
    }

    // MARK: Promises

    /// An agent that leads or follows a failover attempt promises, on disk, before anything is written.
    private mutating func promise(_ step: Step, _ assessment: Assessment) {
        switch step {
        case .master(let server):
            guard server != assessment.primary, !assessment.recorded(server) else { return }
            // The epoch of the row that is being written, look after look: one that grew meanwhile would outlive the
            // promotion of its own failover attempt.
            durable.promise = DurableState.Promise(epoch: nextEpochForMaster(assessment.observation.seen), on: server)
        case .follow(let server):
            guard server != assessment.primary, !assessment.recorded(server),
                let epoch = assessment.ledger?.master?.epoch
            else { return }
            durable.promise = DurableState.Promise(epoch: epoch, on: server)
        default: break
        }
    }

    /// The epoch of the next operation: higher than every one that was ever seen.
    package func nextEpoch(_ seen: Observation) -> UInt64 {
        // One that leaves no room for a next one is none of this cluster's.
        let possible = [seen.highestEpoch, durable.epoch, durable.promise?.epoch ?? 0, durable.operation].filter {
            $0 < PromotionRecord.highestEpoch
        }
        return (possible.max() ?? 0) + 1
    }
}

extension Ledger {
    /// The operation master's row of a failover attempt: a ledger on the server that is to be promoted.
    package static func failoverAttempt(_ rows: [LedgerRow]?, on id: ServerID) -> LedgerRow? {
        rows?.last { if case .mast = $0.signal { true } else { false } }
    }

    /// The same, unless it is over: what an operation has left on a server that was deposed since. Its master is gone,
    /// and its epoch is not above that of a known promotion; whoever took it up would write a row of a higher epoch, for
    /// which the old promises do not count.
    static func failoverAttempt(_ rows: [LedgerRow]?, on id: ServerID, after epoch: UInt64) -> LedgerRow? {
        failoverAttempt(rows, on: id).flatMap { $0.alive || $0.epoch > epoch ? $0 : nil }
    }
}
