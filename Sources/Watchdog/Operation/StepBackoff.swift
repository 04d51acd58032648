/// When an agent leaves it to others to begin an operation: for a while after it has called one off, and after several
/// steps in a row have failed, for others may have a better path. Pure; times in milliseconds by the loop's clock.
package struct StepBackoff: Sendable {
    /// So many failures in a row, and the agent gives its part up.
    static let patience = 3

    package static let quorum = StepBackoff(afterAbort: 3_000, afterFailures: 10_000)
    package static let routerLed = StepBackoff(afterAbort: 30_000, afterFailures: 30_000)

    private let afterAbort: Int64
    private let afterFailures: Int64
    private var failures = 0
    private var quietUntil = Int64.min

    private init(afterAbort: Int64, afterFailures: Int64) {
        self.afterAbort = afterAbort
        self.afterFailures = afterFailures
    }

    /// Whether this step would begin an operation, or enter the election for one, and has to wait.
    package func holdsBack(_ step: Step, at now: Int64) -> Bool {
        switch step {
        case .scan, .lock, .master: now < quietUntil
        default: false
        }
    }

    package mutating func succeeded(_ step: Step, at now: Int64) {
        failures = 0
        if case .abort = step { quietUntil = now + afterAbort }
    }

    /// - Parameter hopeless: it fails the next time too.
    /// - Returns: whether the agent gives its part in the operation up.
    package mutating func failed(hopeless: Bool = false, at now: Int64) -> Bool {
        failures += 1
        guard hopeless || failures >= Self.patience else { return false }
        giveUp(at: now)
        return true
    }

    package mutating func giveUp(at now: Int64) {
        failures = 0
        quietUntil = now + afterFailures
    }
}
