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

    /// Nothing may rest on this agent's name: another one may go by it.
    var isNameInDoubt: Bool { durable.isDouble || names.isTaken }

    // What is remembered from look to look, and lost with the process.
    var tracks = PerServer<Track>()
    package internal(set) var lease = RouterLease()
    /// The primary's own transactions that its replica was seen to hold, whether the primary was seen to have them or not.
    package private(set) var copied = CopiedTransactions()
    var applyLag = ApplyLag()
    var timers = OperationTimers()
    var applierStops = PerServer<ApplierStops>()
    var lists = ListWatch()
    var names = NameWatch()
    /// A process of the replica that has been seen, and what the primary had executed after that.
    var catchingUp: (started: Int64, wanted: GTIDSet?)?
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
        durable.foreign = lists.after(observation, durable.foreign, rules)
        durable.isDouble = names.after(observation, isDouble: durable.isDouble)
        track(observation)
        noteStops(observation)
        endPromise(observation)
        let assessment = Assessment(observation, self)
        noteSync(assessment)
        noteLag(assessment)
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
