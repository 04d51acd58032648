import Watchdog

/// A modelled host: the agent's process, its disk, its router. A class for the reason of `SimServer`.
final class SimAgent {
    let index: Int
    /// Its place among all names. Another host's agent may go by the same.
    let place: Int
    let name: String
    var alive = true
    var frozen = false
    /// It stands still in the middle of its next look.
    var freezesInLook = false
    /// Counts the lives of the process: what an earlier life had begun is not continued.
    var life = 0
    var born: Int64 = 0

    /// The list in its file, by places; whether its host is there, and listed.
    var list: [Int]
    var isMember = true
    /// The list by which the process goes, and, of the step that it has begun, that and the others that it knew.
    let runningList: [Int]
    var stepLists: (own: [Int], foreign: [AgentList])
    /// When each server was last asked for the lists that agents go by.
    var listsAsked: [Int64?] = [nil, nil]

    // On disk.
    var disk = DurableState()

    /// Nothing can be written there.
    var diskIsFull = false

    // In the process.
    var loop: QuorumMachine
    /// Counts the rounds of the loop.
    var round = 0
    var isResting = true
    /// The next round follows this one at once.
    var isWoken = false
    /// When each lock session last had an answer; nil while there is none.
    var pong: [Int64?] = [nil, nil]
    var ledgerSession: (server: ServerID, session: Int)?
    /// This agent's session with the operation lock on the server that is not the ledger's.
    var guest: (server: ServerID, session: Int)?
    /// What is on its way back from each server.
    var answers: [ServerView?] = [nil, nil]
    var fenced: (epoch: UInt64, done: Bool)?
    /// What is left of the plan, and what puts things back where it fails.
    var commands: [Command] = []
    var onFailure: [Command] = []
    var isUndoing = false
    var found = Found()
    var machine = RouterMachine(probeTimeout: 2_000)
    /// What became of the router's last command, on its way to the machine.
    var routerOutcome: RouterMachine.Outcome?
    /// Counts the questions to the router's port.
    var asks = 0
    /// The command under way is such a question.
    var isAsking = false
    var lastStep = Step.none(.nothingToDo)
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
        /// A majority knew, when the step began, what the server has lost in a crash.
        var isMissed = false
        var wasOpen = false
        var isRebuildable = false
        var marker: RebuildMarker?
        var saved: GTIDSet?
        var known: GTIDSet?
    }

    struct Router {
        /// Where a client that writes now ends up; nil while no process runs.
        var leads: ServerID? = .a
        /// Counts its processes, and the times that all connections through it were ended.
        var process = 0
        var connections = 0
        /// The command that is at work on it, since when, and how many there have been.
        var command: RouterMachine.Command?
        var began: Int64 = 0
        var work = 0
        /// It can be neither stopped nor restarted.
        var isStubborn = false
    }

    init(index: Int, place: Int, list: [Int], loop: QuorumMachine) {
        self.index = index
        self.place = place
        self.list = list
        runningList = list
        stepLists = (list, [])
        name = loop.policy.rules.name
        self.loop = loop
    }
}

/// A command that is under way, with the session that its plan goes over.
struct Flight {
    var command: Command
    var agent: Int
    var life: Int
    var ledgerSession: (server: ServerID, session: Int)?
    var isMissed = false
    /// Since when it waits at the server, or is at work there.
    var since: Int64?
}
