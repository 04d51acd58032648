/// How often in a row a replica's applier has stopped at what a rebuild would not mend, as this agent has seen it. It is
/// started again each time, at pauses that grow to a minute. Lost with the process: it begins anew then. Times in
/// milliseconds.
package struct ApplierStops: Sendable {
    private static let longestPause: Int64 = 60_000
    /// An applier that has run for so long has got over what stopped it.
    private static let recovered: Int64 = 60_000

    private var last: (fault: String, stamp: String)?
    private var stops = 0
    private var stoppedAt = Int64.min
    private var runsSince: Int64?

    mutating func note(_ channel: ReplicationChannel, now: Int64) {
        guard let fault = channel.startableFault else {
            guard channel.applierRuns else { return runsSince = nil }
            let since = runsSince ?? now
            runsSince = since
            if now - since >= Self.recovered { self = ApplierStops() }
            return
        }
        runsSince = nil
        if let last, last == (fault, channel.stoppedAt) { return }
        last = (fault, channel.stoppedAt)
        stops += 1
        stoppedAt = now
    }

    /// Whether it has stopped too often to be started again at once. Who has not seen it stop, as an operator's `status`,
    /// takes it that it was started.
    func areHeld(now: Int64) -> Bool {
        guard stops > 0 else { return true }
        let pause = stops == 1 ? 0 : min(Self.longestPause, 1_000 << Int64(min(stops - 1, 6)))
        return now - stoppedAt < pause
    }
}

extension QuorumPolicy {
    mutating func noteStops(_ observation: TimedObservation) {
        for id in ServerID.allCases {
            guard let channel = observation.seen.facts(id)?.channels.first else { continue }
            var stops = applierStops[id] ?? ApplierStops()
            stops.note(channel, now: observation.now)
            applierStops[id] = stops
        }
    }

    /// Why a step that would bring the replica back is not done, or not yet.
    func holdOn(_ step: Step, _ assessment: Assessment, _ primary: ServerID) -> Hold? {
        switch step {
        case .rebuild: rebuildHeldBy(assessment, primary)
        case .resume: startHeldBy(assessment, primary)
        default: nil
        }
    }

    /// Why replication that has stopped at an error is not started, although no rebuild is needed.
    func startHeldBy(_ assessment: Assessment, _ primary: ServerID) -> Hold? {
        let replica = primary.other
        guard let source = assessment.facts(primary), let other = assessment.facts(replica), other.rebuilding == nil,
            let channel = other.channels.first, RebuildReason(other, from: source, primary: primary) == nil
        else { return nil }
        if let fault = channel.startableFault, (applierStops[replica] ?? ApplierStops()).areHeld(now: assessment.now) {
            return .applierStops(replica, error: fault)
        }
        return channel.applierErrno == 0 && channel.isRefused
            ? .refusedBySource(replica, by: primary, error: channel.receiverFault) : nil
    }
}
