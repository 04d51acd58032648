/// For how long something has gone on in one operation.
struct OperationTimer: Sendable {
    private var began: (epoch: UInt64, at: Int64)?

    /// Milliseconds since this was asked for the first time in the operation of this epoch.
    mutating func elapsed(in epoch: UInt64, now: Int64) -> Int64 {
        if let began, began.epoch == epoch { return now - began.at }
        began = (epoch, now)
        return 0
    }
}

/// What an operation master waits for, and not for ever. Lost with the process: the wait begins anew then.
struct OperationTimers: Sendable {
    /// Until routers of agents that did not follow are closed.
    var fence = OperationTimer()
    /// Until the target of a planned change has caught up, while the primary is closed.
    var planned = OperationTimer()
    /// Until the relay log is applied.
    var apply = OperationTimer()
    /// Until a majority sees the promoted server as it should be.
    var opening = OperationTimer()
    /// Until every follower has confirmed.
    var confirmation = OperationTimer()
}
