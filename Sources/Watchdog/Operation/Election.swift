/// One agent's place in the election of an operation master, by the ledger: whose turn it is, who leads, who follows. The
/// same in both modes; what an operation is for, and when, is the policies' matter.
///
/// An agent that wants an operation announces itself (SCAN) on the server that the ledger lies on; the oldest announcement that
/// lives takes the operation lock and becomes master (MAST); the others follow (FOLO) and confirm (FOOK).
struct Election {
    let ledger: Ledger
    let local: LocalStatus

    enum Role {
        case master(LedgerRow), follower(of: LedgerRow)
        /// The master's session is gone: an operation that nobody leads.
        case orphan
    }

    /// - Returns: nil where nobody leads, or has led.
    var role: Role? {
        guard let master = ledger.master else { return nil }
        guard master.alive else { return .orphan }
        let own =
            master.agent == local.agent && master.session == local.session && local.server == ledger.server
            && local.holdsLock
        return own ? .master(master) : .follower(of: master)
    }

    /// The next step of an agent that wants an operation here.
    var stand: Step {
        if local.server == ledger.server, local.holdsLock, ledger.candidates.first?.session == local.session {
            return .master(on: ledger.server)
        }
        return queue
    }

    /// The next step of an agent that goes on with one whose master is gone.
    var takeOver: Step {
        // One without a row of its own here would be refused as operation master: it has to be announced first.
        if local.holdsLock, local.server == ledger.server, ledger.rows.contains(where: { $0.session == local.session })
        {
            return .master(on: ledger.server)
        }
        return queue
    }

    /// The next step where nobody needs an operation and somebody has announced one.
    /// - Parameters:
    ///   - why: this agent sees no need.
    ///   - keepClosed: what becomes of the server when the ledger is cleared (`Step.terminate`).
    func clear(_ why: Reason, keepClosed: Bool) -> Step {
        if ledger.candidates.contains(where: { $0.agent != local.agent }) {
            // Whoever sees no need must not stand first in the queue of those who do.
            return local.server != nil ? .withdraw(why) : .wait(.until(.others))
        }
        // Left behind by agents that died before they announced anything.
        return local.holdsLock && local.server == ledger.server
            ? .terminate(missing: [], keepClosed: keepClosed) : queue
    }

    /// Announce, wait for one's turn, take the lock.
    private var queue: Step {
        guard local.server == ledger.server, let session = local.session,
            ledger.candidates.contains(where: { $0.session == session })
        else { return .scan(on: ledger.server) }
        guard ledger.candidates.first?.session == session else {
            let first = Reason.until(.turn(of: ledger.candidates.first?.agent ?? "another agent"))
            // Whoever comes first cannot begin without the lock. An agent can hold it still after the end of an operation
            // whose last statement failed: each of the two would wait for the other for ever.
            return local.holdsLock ? .withdraw(first) : .wait(first)
        }
        return .lock(on: ledger.server)
    }

    /// This agent's FOLO of this session is there.
    /// - Parameter epoch: of the operation that it must belong to; nil: of any.
    func follows(in epoch: UInt64? = nil) -> Bool {
        ledger.rows.contains {
            $0.signal == .folo(host: local.agent) && $0.session == local.session && local.server == ledger.server
                && (epoch == nil || $0.epoch == epoch)
        }
    }

    /// Its FOOK is.
    var hasConfirmed: Bool { ledger.has(.fook(host: local.agent)) }
}

extension LocalStatus {
    /// What an agent does that does not take part: it gives up what it holds, or waits.
    func standsAside(_ why: Reason) -> Step { server == nil ? .wait(why) : .withdraw(why) }
}
