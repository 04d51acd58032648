import Dispatch
import Foundation

/// Waits until `condition` holds, looking again every `interval`; an error it throws counts as "not yet".
/// - Throws: `TestBedError` that names `what` (and the last error) when `limit` has passed.
public func eventually(
    _ what: String, within limit: Duration = .seconds(30), every interval: Duration = .milliseconds(50),
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now.advanced(by: limit)
    var last: (any Error)?
    repeat {
        do {
            if try await condition() { return }
            last = nil
        } catch {
            last = error
        }
        try Task.checkCancellation()
        await pause(interval)
    } while ContinuousClock.now < end
    throw TestBedError("not within \(limit): \(what)" + (last.map { "; last error: \($0)" } ?? ""))
}

/// A pause that cancelling the task does not cut short: clearing up goes on when a test was cancelled.
func pause(_ duration: Duration) async {
    let nanoseconds = Int(duration / .nanoseconds(1))
    await withCheckedContinuation { continuation in
        DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) { continuation.resume() }
    }
}
