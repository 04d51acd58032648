import Logging
import MySQLWire
import Synchronization

extension Agent {
    /// Watches until the task is cancelled.
    /// - Parameter reload: asks for the configuration to be read again: passwords are taken over where they are, for
    ///   anything else the watch begins anew between two steps. One that is of no use changes nothing.
    package func run(_ reload: Reload? = nil) async throws(AgentError) {
        var current = try Watch.begin(configuration, before: nil)
        while let next = try await watch(current, reload) { current = next }
        logger.log(.stopped)
    }

    /// One configuration in force.
    private struct Watch: Sendable {
        var configuration: Configuration
        var lock: HostLock
        /// What the loop before leaves to this one.
        var handover = QuorumLoop.Handover()

        /// Everything that could speak against it is seen before what it replaces is given up.
        static func begin(_ configuration: Configuration, before: Watch?) throws(AgentError) -> Watch {
            let directory = configuration.workingDirectory
            try WorkingDirectory(path: directory).checkExists()
            let state = DurableStateFile(configuration)
            if let before, before.configuration.workingDirectory == directory {
                _ = try state.read()
                return Watch(configuration: configuration, lock: before.lock)
            }
            let lock = try HostLock.take(directory: directory, cluster: configuration.cluster)
            _ = try state.read()
            return Watch(configuration: configuration, lock: lock)
        }
    }

    /// - Returns: what to go on with; nil when the task was cancelled.
    private func watch(_ current: Watch, _ reload: Reload?) async throws(AgentError) -> Watch? {
        let configuration = current.configuration
        let leaving = Flag()
        let next = Mutex<Watch?>(nil)
        let listening = Task {
            guard let reload else { return }
            for await _ in reload.requests {
                guard let new = renewed(current, reload) else { continue }
                next.withLock { $0 = new }
                return leaving.raise()
            }
        }
        defer { listening.cancel() }
        let metadata: Logger.Metadata = [
            "cluster": "\(configuration.cluster)", "agent": "\(configuration.agent.name)",
            "mode": "\(configuration.mode.rawValue)",
        ]
        var handover = QuorumLoop.Handover()
        switch configuration.mode {
        case .routerLed:
            let loop = try RouterLedLoop(configuration: configuration, logger: logger)
            logger.log(.watching, metadata)
            await loop.untilCancelled(or: leaving)
            await loop.leave()
        case .quorum:
            let loop = try QuorumLoop(configuration: configuration, logger: logger, handover: current.handover)
            logger.log(.watching, metadata)
            if let why = SupervisorLimit.current.objection(QuorumRules(configuration)) {
                logger.log(
                    .routerNotBound,
                    ["why": "\(why)", "remedy": "WatchdogSec=3s in the agent's unit (Packaging/systemd)"])
            }
            handover = await loop.untilCancelled(or: leaving)
        }
        guard !Task.isCancelled, var new = next.withLock({ $0 }) else { return nil }
        for id in ServerID.allCases where new.configuration.servers[id] != configuration.servers[id] {
            handover.servers[id] = nil
        }
        new.handover = handover
        return new
    }

    /// Reads the configuration again and takes new passwords over.
    /// - Returns: what to go on with; nil where the watch goes on as it is.
    private func renewed(_ current: Watch, _ reload: Reload) -> Watch? {
        func stays(_ why: String) -> Watch? {
            logger.log(.configurationRefused, ["why": "\(why)"])
            return nil
        }
        var new: Configuration
        do throws(ConfigurationError) {
            new = try reload.configuration()
        } catch {
            return stays("\(error)")
        }
        let differs = new.differences(from: current.configuration)
        let next: Watch
        do throws(AgentError) {
            let (own, repl) = (current.configuration.credentials.source, current.configuration.replication.source)
            let read = (new.credentials.source, new.replication.source)
            (new.credentials.source, new.replication.source) = (own, repl)
            next = try Watch.begin(new, before: current)
            own.adopt(read.0)
            repl.adopt(read.1)
        } catch {
            return stays("\(error)")
        }
        logger.log(
            .configurationRead,
            ["changed": "\(differs.isEmpty ? "passwords at most" : differs.joined(separator: ", "))"])
        return differs.isEmpty ? nil : next
    }
}
