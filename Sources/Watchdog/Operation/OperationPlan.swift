/// A step as the commands that carry it out, in their order. Pure: what the simulation proves of a plan is proven of the
/// statements that servers are sent.
package struct OperationPlan: Sendable, Hashable {
    package var commands: [Command]
    /// What puts things back where one of them fails; each is tried, whatever becomes of the one before it.
    package var onFailure: [Command] = []
    /// It may take longer than a server waits for a silent session.
    package var isLong = false

    init(_ commands: [Command], onFailure: [Command] = [], isLong: Bool = false) {
        self.commands = commands
        self.onFailure = onFailure
        self.isLong = isLong
    }

    /// The plan of a step. Empty for those that the loop does itself: nothing, waiting, and turning the router.
    package init(_ step: Step, _ context: OperationContext) {
        func signal(_ signal: Signal) -> Command { .writeSignal(context.entry(signal, epoch: context.epoch)) }
        switch step {
        case .none, .wait, .route: self.init([])
        case .scan(let server): self = Self.scan(server, context)
        case .lock(let server): self.init([.join(server), .takeOperationLock])
        case .master(let server):
            // Decided a while ago, perhaps: an agent that stood still meanwhile may have lost the lock and its session.
            let row = context.entry(.mast(host: context.agent), epoch: context.nextEpoch)
            self.init([.join(server), .requireOperationLock, .writeSignal(row)])
        case .withdraw: self.init(context.joined == nil ? [] : [.releaseOperationLock, .leave])
        case .follow(let server): self.init([.join(server), signal(.folo(host: context.agent))])
        case .announce(let kind, let target):
            self.init([signal(.oper(kind)), signal(.targ(socket: context.addresses[target] ?? ""))])
        case .confirmMaster: self.init([signal(.maok(host: context.agent))])
        case .confirmFollower: self.init([signal(.fook(host: context.agent))])
        case .fence(let id): self = Self.onOther(id, [.fenceWrites(id)])
        case .drain(let old, let new): self.init([.catchUp(new, from: old)])
        case .stopReceiver(let id):
            // The delay is lifted while the receiver runs: without it the relay logs would go with the delay.
            self.init([.liftDelay(id), .stopReceiver(id), .disableSemiSync(id)])
        case .applyRelayLog(let id): self.init([.startApplier(id), .awaitRelayLog(id)])
        case .promote(let id, let undrained): self = Self.promotion(of: id, undrained: undrained, context)
        case .promoteWithoutSource(let id, let reason): self = Self.promotion(of: id, reason: reason, context)
        case .open(let id): self = Self.opening(id, context)
        case .resume(let replica, let primary): self = Self.resumption(of: replica, from: primary, context)
        case .rebuild(let replica, let primary, let why):
            self = Self.rebuild(replica, from: primary, why: why, context)
        case .terminate(_, let keepClosed): self = Self.end(keepClosed: keepClosed, context)
        case .abort: self = Self.rollBack(context)
        case .disableSemiSync(let id): self.init([.disableSemiSyncIfAgreed(id)])
        case .enableSemiSync(let id): self.init([.enableSemiSyncIfOpen(id)])
        case .disableSemiSyncOnReplica(let id): self.init([.disableSemiSyncIfClosed(id)])
        case .startClosed(let id): self.init([.persistClosedIfAllowed(id)])
        case .fenceCommand(let id): self.init([.runFenceCommand(id, epoch: context.epoch)])
        }
    }

    private static func scan(_ server: ServerID, _ context: OperationContext) -> OperationPlan {
        let scan = Command.writeSignal(context.entry(.scan(host: context.agent), epoch: 0))
        return OperationPlan(
            [.join(server)] + (context.isLost(server.other) ? [.endReadLocks] : []) + [.allowLedgerWrites, scan],
            onFailure: [.forbidLedgerWrites])
    }

    /// What is done to the server that is not the ledger's, under its operation lock.
    static func onOther(_ id: ServerID, _ commands: [Command], onFailure: [Command] = []) -> OperationPlan {
        OperationPlan([.lockServer(id)] + commands + [.unlockServer(id)], onFailure: onFailure, isLong: true)
    }
}
