extension Step: CustomStringConvertible {
    package var description: String {
        switch self {
        case .none: "nothing to do"
        case .wait(let why): "wait: \(why)"
        case .scan(let server): "announce this agent (SCAN) on \(server)"
        case .lock(let server): "take the operation lock on \(server)"
        case .master(let server): "become operation master (MAST) on \(server)"
        case .withdraw(let why): "give the operation lock back: \(why)"
        case .follow(let server): "follow (FOLO) on \(server)"
        case .announce(let kind, let target): "announce OPER \(kind.rawValue) and TARG \(target)"
        case .fence(let server): "stop writes on \(server)"
        case .drain(let from, let to): "let \(to) apply what \(from) has"
        case .promote(let server, let undrained):
            "promote \(server)" + (undrained.isEmpty ? "" : "; what it cannot fetch will be saved: \(undrained)")
        case .fenceCommand(let server): "make sure that \(server) is off by the fence command"
        case .stopReceiver(let server): "stop the receiver of \(server)"
        case .applyRelayLog(let server): "let \(server) apply what has arrived"
        case .promoteWithoutSource(let server, let reason): "promote \(server) (\(reason.text))"
        case .disableSemiSync(let server): "disable semi-sync on \(server): commits no longer wait for the replica"
        case .startClosed(let server): "persist super_read_only on \(server)"
        case .disableSemiSyncOnReplica(let server):
            "disable semi-sync on the replica \(server)"
        case .enableSemiSync(let server): "enable semi-sync on \(server): commits wait for the replica again"
        case .open(let server): "open \(server) as primary"
        case .route(let server): "point the router to \(server)"
        case .resume(let replica, let primary): "replicate on \(replica) from \(primary) by GTID"
        case .rebuild(let replica, let primary, let why): "save and rebuild \(replica) from \(primary): \(why.text)"
        case .confirmMaster: "report the work done (MAOK)"
        case .confirmFollower: "report the work done (FOOK)"
        case .terminate(let missing, let keepClosed):
            "end the operation" + (missing.isEmpty ? "" : " without \(missing.joined(separator: ", "))")
                + (keepClosed ? ", the replica stays read-only" : "")
        case .abort(let why): "abort the operation: \(why)"
        }
    }
}
