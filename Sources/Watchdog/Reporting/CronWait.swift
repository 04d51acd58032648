/// The wait before a pass that cron starts: on every backend at the same second, so each waits a time of its own.
package enum CronWait {
    /// As the original script: up to 297 s, which leaves room within five minutes.
    package static let longest: Duration = .seconds(297)

    package static func pick(using generator: inout some RandomNumberGenerator) -> Duration {
        .milliseconds(Int64.random(in: 0...297_000, using: &generator))
    }
}
