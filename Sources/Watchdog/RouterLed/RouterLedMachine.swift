import MySQLWire

/// One agent's loop in router-led mode as a value: look, diagnose, choose with `RouterLedPolicy`, do one step, look again.
/// It answers what has come with what is to be done next, in order; `RouterLedLoop` does it, and so does the simulation.
/// Nothing about an operation's progress is kept: an agent that is killed after any step, or another one, goes on from
/// what the servers say. Times are milliseconds of the agent's own clock.
package struct RouterLedMachine: Sendable {
    package enum Command: Sendable, Hashable {
        /// Look at both servers and the router.
        case look
        /// The router has followed the promotion of this epoch: that outlives the process.
        case note(epoch: UInt64)
        /// Say what the ledger session holds.
        case describe
        /// Tell what was seen and chosen.
        case report
        /// Wait so long before what follows.
        case pause(Int64)
        case perform(Step)
        /// Give this agent's part in an operation up.
        case leave
        /// The same, for waiting for this got nowhere: others may try.
        case handOver(waited: Step)
        /// The round is over.
        case end(Outcome)
    }

    package enum Event: Sendable {
        case begin
        case looked(Observation)
        case described(LocalStatus)
        /// - server: where the ledger session is now.
        case performed(Result, server: ServerID?)
    }

    /// What became of a step.
    package enum Result: Sendable, Hashable {
        case done
        case failed(String)
        /// It fails the next time too.
        case hopeless(String)
    }

    package enum Outcome: Sendable, Hashable {
        /// Nothing is to be done.
        case settled
        case acted
        case waiting
        case failed(gaveUp: Bool)
    }

    private enum Phase: Sendable, Hashable {
        case resting, looking, describing
        case performing(Step)
        /// A step has failed for good; what it was about is put back.
        case puttingBack
    }

    private let diagnoser: Diagnoser
    package let policy: RouterLedPolicy
    private var phase = Phase.resting
    private var patience = RouterLedPatience()
    package private(set) var seen: Observation?
    package private(set) var diagnosis: Diagnosis?
    package private(set) var status: LocalStatus
    /// What was chosen last.
    package private(set) var step: Step?

    /// A step that does not change what is seen is not repeated at full speed.
    private static let repeatPause: Int64 = 300

    package init(_ configuration: Configuration) {
        diagnoser = Diagnoser(configuration)
        policy = RouterLedPolicy(configuration)
        status = LocalStatus(agent: configuration.agent.name)
    }

    package mutating func handle(_ event: Event, at now: Int64) -> [Command] {
        switch (event, phase) {
        case (.begin, .resting):
            phase = .looking
            return [.look]
        case (.looked(let seen), .looking): return looked(seen)
        case (.described(let status), .describing): return choose(status, now)
        case (.performed(let result, let server), .performing(let step)): return performed(step, result, server, now)
        case (.performed, .puttingBack): return [.leave] + end(.failed(gaveUp: true))
        default: return []
        }
    }

    private mutating func end(_ outcome: Outcome) -> [Command] {
        phase = .resting
        return [.end(outcome)]
    }

    // MARK: Look

    private mutating func looked(_ seen: Observation) -> [Command] {
        self.seen = seen
        let diagnosis = diagnoser.diagnose(seen)
        self.diagnosis = diagnosis
        phase = .describing
        return followed(seen, diagnosis).map { [.note(epoch: $0), .describe] } ?? [.describe]
    }

    /// A router that leads to the primary of the promotion on record has followed it.
    private func followed(_ seen: Observation, _ diagnosis: Diagnosis) -> UInt64? {
        guard let primary = diagnosis.primary, policy.turned(seen, to: primary), let facts = seen.facts(primary),
            let promotion = facts.promotion, promotion.primary == facts.uuid
        else { return nil }
        return promotion.epoch
    }

    // MARK: Choose

    private mutating func choose(_ described: LocalStatus, _ now: Int64) -> [Command] {
        guard let seen, let diagnosis else { return end(.waiting) }
        status = described
        status.routerFailed = patience.routerFailed(at: now)
        let wanted = policy.nextStep(seen, diagnosis, status)
        guard let chosen = patience.admit(wanted, status, at: now) else {
            return [.report, .handOver(waited: wanted)] + end(.waiting)
        }
        let isRepeated = chosen == step
        step = chosen
        switch chosen {
        case .none: return [.leave, .report] + end(.settled)
        case .wait: return [.report] + end(.waiting)
        default:
            phase = .performing(chosen)
            return [.report] + (isRepeated ? [.pause(Self.repeatPause)] : []) + [.perform(chosen)]
        }
    }

    // MARK: Perform

    private mutating func performed(
        _ step: Step, _ result: Result, _ server: ServerID?, _ now: Int64
    ) -> [Command] {
        let (hopeless, why): (Bool, String)
        switch result {
        case .done:
            patience.succeeded(step, at: now)
            return end(.acted)
        case .failed(let text): (hopeless, why) = (false, text)
        case .hopeless(let text): (hopeless, why) = (true, text)
        }
        guard patience.failed(step, hopeless: hopeless, at: now) else { return end(.failed(gaveUp: false)) }
        if let seen, RouterLedPatience.putsBack(seen.activeLedger, seen, on: server) {
            phase = .puttingBack
            return [.perform(.abort(.because(.stepFailed(why))))]
        }
        return [.leave] + end(.failed(gaveUp: true))
    }

    package var nextEpoch: UInt64 { seen.map { policy.nextEpoch($0, status) } ?? 0 }
}
