extension Reason {
    /// The name of a reason in logs, in JSON and in `repl_watchdog.history`. It does not change. What each means and what
    /// to do stands in Documentation/Reasons.md, a row each.
    package enum Code: String, Sendable, Hashable, CaseIterable {
        case nothingToDo = "nothing-to-do"

        // Nobody acts: a person decides
        case stranger
        case unknownPromotion = "unknown-promotion"
        case withoutGTIDs = "without-gtids"
        case sameServerID = "same-server-id"
        case severalChannels = "several-channels"
        case oneServer = "one-server"
        case copiedServer = "copied-server"
        case foreignSource = "foreign-source"
        case circularReplication = "circular-replication"
        case primaryUnknown = "primary-unknown"
        case primaryElsewhere = "primary-elsewhere"
        case primaryReplicates = "primary-replicates"
        case lostByPrimary = "lost-by-primary"
        case halfMadeCopy = "half-made-copy"
        case replicatesFromNobody = "replicates-from-nobody"
        case thirdServer = "third-server"

        // What blocks a failover
        case replicaUnreachable = "replica-unreachable"
        case notLost = "not-lost"
        case noMajority = "no-majority"
        case listsDisagree = "lists-disagree"
        case applierBroken = "applier-broken"
        case replicaFiltered = "replica-filtered"
        case primaryFiltered = "primary-filtered"
        case paused
        case blockPeriod = "block-period"
        case lossNotAccepted = "loss-not-accepted"

        // What keeps a primary closed or a replica away
        case primaryIncomplete = "primary-incomplete"
        case closedAndPaused = "closed-and-paused"
        case votesAgainst = "votes-against"
        case failoverUnderWay = "failover-under-way"
        case majorityNotLasting = "majority-not-lasting"
        case nameTwice = "name-twice"
        case withoutMemory = "without-memory"
        case openReplica = "open-replica"
        case primaryOffline = "primary-offline"
        case sourceUnreachable = "source-unreachable"
        case sourceRefuses = "source-refuses"
        case applierStops = "applier-stops"
        case rebuiltTooOften = "rebuilt-too-often"
        case copyFails = "copy-fails"

        // What holds locks that nobody ends
        case preparedTransactions = "prepared-transactions"

        // What a switchover waits for
        case replicationStopped = "replication-stopped"
        case replicaBehind = "replica-behind"
        case replicaOffline = "replica-offline"

        // Waiting in an operation
        case followersAwaited = "followers-awaited"
        case serverSilent = "server-silent"
        case fenceUnproven = "fence-unproven"
        case fenceAwaited = "fence-awaited"
        case routerTurning = "router-turning"
        case confirmationsAwaited = "confirmations-awaited"
        case othersConsider = "others-consider"
        case othersFirst = "others-first"
        case othersLostPrimary = "others-lost-primary"
        case leftOperation = "left-operation"
        case noReasonToFollow = "no-reason-to-follow"
        case masterWorks = "master-works"
        case recentlyGaveUp = "recently-gave-up"

        // The end of an operation
        case notNeeded = "not-needed"
        case answersAgain = "answers-again"
        case notThePrimary = "not-the-primary"
        case notOpen = "not-open"
        case catchUpTimeout = "catch-up-timeout"
        case applyTimeout = "apply-timeout"
        case cannotApply = "cannot-apply"
        case stepFailed = "step-failed"

        // Routers, in router-led mode
        case routerSilent = "router-silent"
        case routerStuck = "router-stuck"
        case routersSplit = "routers-split"
        case routersUnknown = "routers-unknown"
        case routersHalfMoved = "routers-half-moved"
        case noRouterLeads = "no-router-leads"
        case routersLeadToReplica = "routers-lead-to-replica"
        case otherTarget = "other-target"

        // This agent
        case ownFault = "own-fault"
        case stateNotWritten = "state-not-written"

        // Why a server was promoted
        case switchover
        case routersMoved = "routers-moved"
        case primaryDead = "primary-dead"
        case primarySilent = "primary-silent"
        case primaryStalled = "primary-stalled"
        case lossAccepted = "loss-accepted"
        case onRecord = "on-record"

        // Why a replica is rebuilt
        case unfinishedCopy = "unfinished-copy"
        case replicationBroken = "replication-broken"
        case errantTransactions = "errant-transactions"
        case purgedTransactions = "purged-transactions"
    }
}
