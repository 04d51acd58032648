/// What a `QuorumMachine` asks for, and what it is told.
extension QuorumMachine {
    package enum Command: Sendable, Hashable {
        /// Ask a server; its answer may come whenever it likes.
        case probe(ServerID)
        /// Say when so many milliseconds are over, unless the answers come before.
        case listen(Int64)
        /// Say what this host holds and sees; what the ledger session holds only where that is asked.
        case describe(asksSession: Bool)
        /// Where none is open, or being opened.
        case openLockSession(ServerID)
        case giveBackLocks
        /// Write `durable` to disk, synced.
        case write
        case takeLocks
        case lease(until: Int64?)
        case closeRouter
        case pointRouter(ServerID, uuid: String)
        /// Tell what was decided, and whether no step was under way then.
        case report(isIdle: Bool)
        /// Carry a step out, beside the loop.
        case begin(Step)
        /// Give this agent's part in an operation up.
        case leave
        /// Say when the step's failure is so long ago.
        case coolDown(Int64)
        /// Begin the next round then, or at once when woken.
        case rest(Int64)
        /// The next round should begin at once.
        case wake
    }

    package enum Event: Sendable {
        /// A round's time has come.
        case begin
        case answered(ServerID, ServerView)
        /// What `listen` asked for.
        case listened
        case described(LocalView)
        case gaveBackLocks
        case written(Bool)
        case tookLocks
        case stepEnded(Bool)
        case cooledDown
    }

    /// What this host holds and sees.
    package struct LocalView: Sendable {
        /// What the ledger session holds; nil where that was not asked.
        package var status: LocalStatus?
        /// When the lock session on each server last had an answer; nil while there is none.
        package var pong: PerServer<Int64>
        package var router: RouterView
        package var routerClosed: Bool
        package var routerFailed: Bool
        /// The server on which this agent's writes hang, and since when.
        package var hanging: (on: ServerID, since: Int64)?
        /// The failover attempt whose fence command was run, and whether it went well.
        package var fenced: (epoch: UInt64, done: Bool)?

        package init(
            status: LocalStatus?, pong: PerServer<Int64>, router: RouterView, routerClosed: Bool, routerFailed: Bool,
            hanging: (on: ServerID, since: Int64)? = nil, fenced: (epoch: UInt64, done: Bool)? = nil
        ) {
            self.status = status
            self.pong = pong
            self.router = router
            self.routerClosed = routerClosed
            self.routerFailed = routerFailed
            self.hanging = hanging
            self.fenced = fenced
        }
    }
}
