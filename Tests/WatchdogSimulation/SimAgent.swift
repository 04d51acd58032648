import Watchdog

/// A modelled host: the agent's process, its disk, its router. A class for the reason of `SimServer`.
final class SimAgent {
    let index: Int
    let name: String
    var alive = true
    var frozen = false
    /// Counts the lives of the process: what an earlier life had begun is not continued.
    var life = 0
    var born: Int64 = 0

    // On disk.
    var disk = DurableState()

    // In the process.
    var policy: QuorumPolicy
    var written = DurableState()
    /// When each lock session last had an answer; nil while there is none.
    var pong: [Int64?] = [nil, nil]
    var ledgerSession: (server: ServerID, session: Int)?
    /// This agent's session with the operation lock on the server that is not the ledger's.
    var guest: (server: ServerID, session: Int)?
    var lastStanding: LocalStatus
    var views: [ServerView?] = [nil, nil]
    /// What is on its way back from each server.
    var answers: [ServerView?] = [nil, nil]
    /// What was decided and is being carried out.
    var orders: Orders?
    var observation: TimedObservation?
    var fenced: (epoch: UInt64, done: Bool)?
    var asked: [Int64] = [0, 0]
    var probing = [false, false]
    var silent = [false, false]
    var began: Int64 = 0
    var looking = false
    var ops: [Op] = []
    var busy = false
    /// A step was under way when the last decision was made: it knows nothing of what that one has changed.
    var decidedBusy = false
    var failures = 0
    var quietUntil: Int64 = 0
    var leaseUntil: Int64?
    var lastStep = Step.none("")
    var postponed: [SimWorld.Event] = []

    var router = Router()
    /// This process has seen a reason for its router's path, or has had it closed. One that was just started has not:
    /// what an earlier life left open stays so for a while.
    var controls = true

    struct Router {
        enum State: Equatable {
            case leads(ServerID)
            case closed
            /// Being restarted; until `old` ends it leads where it led.
            case turning(to: ServerID, old: ServerID?)
            case stopping(old: ServerID?)
        }
        var state = State.leads(.a)
        /// Counts its processes: the connections through an earlier one are gone.
        var process = 0

        /// Where a client that writes now ends up.
        var leads: ServerID? {
            switch state {
            case .leads(let id): id
            case .turning(_, let old), .stopping(let old): old
            case .closed: nil
            }
        }
    }

    init(index: Int, policy: QuorumPolicy) {
        self.index = index
        name = "web\(index + 1)"
        self.policy = policy
        lastStanding = LocalStatus(agent: name)
    }
}

/// An effect that is under way, with the sessions that it goes over.
struct Flight {
    var op: Op
    var agent: Int
    var life: Int
    var ledgerSession: (server: ServerID, session: Int)?
    /// Since when it waits at the server for a lock.
    var since: Int64?
}

/// One effect of a step. Each is one statement, or one command; the reply of each can be lost.
enum Op {
    case join(ServerID)
    case allowWriting
    case signal(Signal, epoch: UInt64, unique: Bool, witness: GTIDSet, sync: Bool)
    case takeLock
    case leave
    case guardTake(ServerID)
    case guardRelease(ServerID)
    case close(ServerID)
    case pause(Int64)
    case stopReceiver(ServerID)
    case startApplier(ServerID)
    case stopReplication(ServerID, acceptLoss: Bool)
    case checkOther(ServerID)
    case record(ServerID, epoch: UInt64, heard: UInt64?)
    case resetChannel(ServerID)
    case checkReopen(ServerID)
    case checkMajority(ServerID)
    case unlock(ServerID, promoted: Bool, first: Bool)
    /// After the look that chose it something may have been committed there: seen once more, but on a fresh copy.
    case replicate(ServerID, copied: Bool)
    case save(ServerID)
    case wipe(ServerID, epoch: UInt64)
    /// Not done while its majority is missing.
    case disableSemiSyncByMajority
    case copy(ServerID)
    case clear(ServerID)
    case dropLedger(ServerID, close: Bool)
    case startReplica(ServerID)
    case refuseIfPromoted(known: UInt64)
    case disableSemiSync(ServerID)
    case enableSemiSync(ServerID)
    case disableSemiSyncOnReplica(ServerID)
    case powerOff(ServerID, epoch: UInt64)
}
