import Logging
import MySQLWire

/// What the loop of quorum mode tells the log: changes, each once.
struct QuorumLog {
    private let executor: Executor
    private let logger: Logger
    private var state: String?
    private var step: Step?
    private var hanging: ServerID?
    private var isDouble = false
    private var loginTrouble: [ServerID: LoginTrouble] = [:]

    init(_ executor: Executor, _ logger: Logger) {
        self.executor = executor
        self.logger = logger
    }

    mutating func tell(_ machine: QuorumMachine, _ observation: TimedObservation, hanging: ServerID?) {
        let diagnosis = machine.policy.diagnosis(observation)
        if diagnosis.state.rawValue != state {
            state = diagnosis.state.rawValue
            logger.log(
                .state,
                [
                    "state": "\(diagnosis.state.rawValue)", "why": "\(diagnosis.evidence.joined(separator: "; "))",
                    "reason": "\(diagnosis.reason?.rawValue ?? "-")",
                ])
        }
        tellHang(hanging)
        tellName(machine.policy)
        for id in ServerID.allCases { tellLogin(id, machine.loginTrouble[id]?.trouble) }
        let step = machine.orders.step
        guard step.lasting != self.step?.lasting else { return }
        self.step = step
        step.log(to: logger)
    }

    /// Writes that hang change no state by themselves: they are reported, and what follows is `stalled_after`.
    private mutating func tellHang(_ now: ServerID?) {
        guard now != hanging else { return }
        if let now {
            logger.log(
                .writesHang,
                [
                    "server": "\(executor.name(now))",
                    "remedy": "see its disks, the binary log's as well, and who holds a global read lock",
                ])
        } else if let hanging {
            logger.log(.writesGoOn, ["server": "\(executor.name(hanging))"])
        }
        hanging = now
    }

    private mutating func tellName(_ policy: QuorumPolicy) {
        guard policy.durable.isDouble != isDouble else { return }
        isDouble.toggle()
        logger.log(isDouble ? .nameTwice : .nameAlone, ["agent": "\(policy.rules.name)"])
    }

    private mutating func tellLogin(_ id: ServerID, _ now: LoginTrouble?) {
        guard now?.kind != loginTrouble[id]?.kind else { return }
        loginTrouble[id] = now
        if let now {
            logger.log(.loginsFail, ["server": "\(executor.name(id))", "why": "\(now.text)"])
        } else {
            logger.log(.loginsWork, ["server": "\(executor.name(id))"])
        }
    }
}
