/// When a line is due that would come again and again, for as long as something goes on: at its beginning, and every ten
/// minutes from then on.
struct LineRhythm: Sendable {
    private var loggedAt: Int64?

    private static let silence: Int64 = 600_000

    /// - Parameter now: in milliseconds of any clock that goes on.
    mutating func isDue(at now: Int64) -> Bool {
        if let before = loggedAt, now - before < Self.silence { return false }
        loggedAt = now
        return true
    }

    /// It is over: the next time has its line at once.
    mutating func end() { loggedAt = nil }
}
