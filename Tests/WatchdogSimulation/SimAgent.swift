import Watchdog

/// A modelled host: the agent's process, its disk, its router. A class for the reason of `SimServer`.
final class SimAgent {
    let index: Int
    let name: String
    var alive = true
    var frozen = false
    /// It stands still in the middle of its next look.
    var freezesInLook = false
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
    /// What is left of the plan, and what puts things back where it fails.
    var commands: [Command] = []
    var onFailure: [Command] = []
    var isUndoing = false
    var found = Found()
    var busy = false
    /// A step was under way when the last decision was made: it knows nothing of what that one has changed.
    var decidedBusy = false
    var backoff = StepBackoff.quorum
    var leaseUntil: Int64?
    var lastStep = Step.none(.nothingToDo)
    /// The step whose commands are under way.
    var runningStep = Step.none(.nothingToDo)
    var postponed: [SimWorld.Event] = []

    var router = Router()
    /// This process has seen a reason for its router's path, or has had it closed. One that was just started has not:
    /// what an earlier life left open stays so for a while.
    var controls = true

    /// What a command has found and a later one of its plan needs (`CommandRunner`).
    struct Found {
        var openedForLedger: Bool?
        var source: GTIDSet?
        var isStopped = false
        var wasOpen = false
        var isRebuildable = false
        var marker: RebuildMarker?
        var saved: GTIDSet?
        var known: GTIDSet?
    }

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

/// A command that is under way, with the session that its plan goes over.
struct Flight {
    var command: Command
    var agent: Int
    var life: Int
    var ledgerSession: (server: ServerID, session: Int)?
    /// Since when it waits at the server, or is at work there.
    var since: Int64?
}
