/// Whether somebody else has changed the router's file since it was right: a tool that manages configurations puts the
/// old text back, and the router that runs does not know of it before its next start.
struct RouterFileWatch {
    /// The server that the file was seen to name.
    private var right: ServerID?
    /// What puts the old text back does so again and again.
    private var rhythm = LineRhythm()

    /// - Parameters:
    ///   - id: the server to which the router leads, and is to lead.
    ///   - isRight: the file names it too.
    /// - Returns: whether the file is to be written again. One that was not right before is left for the next turn: the
    ///   router that runs may have been started with what it says, and only a restart is sure to end that.
    mutating func look(_ id: ServerID, isRight: Bool) -> Bool {
        if isRight { right = id }
        return !isRight && right == id
    }

    mutating func isLineDue(at now: Int64) -> Bool { rhythm.isDue(at: now) }
}
