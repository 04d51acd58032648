import Watchdog

/// Something that goes wrong at a time, and is mended a while later.
struct Fault {
    enum Kind {
        case crash(ServerID)
        case freeze(ServerID)
        /// These nodes (servers 0 and 1, then hosts) on one side, everybody else on the other.
        case partition([Int])
        case oneWay(Int, Int)
        case killAgent(Int)
        case freezeAgent(Int)
        case lossy(Int)
        case slowApplier
        case switchover
        case clockJump(ServerID)
        case acceptLoss
        /// An operator asks for a failover, and takes the loss.
        case failover
        case pause
        /// The server loses its last transactions with the crash: its disk had not told the truth.
        case amnesia(ServerID, Int)
        /// The host goes, not only the process.
        case powerLoss(ServerID)
        /// Too many connections.
        case refuse(ServerID)
        case brokenApplier
        /// Somebody writes to the replica.
        case errant
        /// A row of another cluster stands in the history.
        case foreignRecord
        /// A host's router can be neither stopped nor restarted.
        case stubbornRouter(Int)
        /// A host's disk takes nothing any more.
        case fullDisk(Int)
        /// The agent's loop begins anew with its configuration read again.
        case reload(Int)
        /// The replica ends, and comes back without what it had received and not applied.
        case relayLost(ServerID)
        /// The agent ends, and comes back without what it had on disk.
        case lostDisk(Int)
        /// Another host comes, a copy of this one: its disk, its router's file, its name.
        case copiedHost(Int)
        /// The agent of a host is given the new list.
        case edit(Int)
    }
    var kind: Kind
    var at: Int64
    var lasts: Int64
}

/// What a history is made of.
struct Plan {
    /// Hosts that are there at one time or another, but for a copy.
    var agents = 3
    /// Those whose agents are listed at first, and from when somebody has edited their files.
    var list: [Int] = []
    var newList: [Int]?
    var semiSync = true
    var maxLost: UInt64 = 0
    var bound = false
    var coldStart = false
    var fenceCommand = false
    var semiSyncAtBoot = false
    /// An account that read_only does not keep out writes to half-made copies.
    var intruder = false
    /// The host of which there will be a copy.
    var copied: Int?
    var faults: [Fault] = []
    /// When the last fault is mended.
    var healed: Int64 = 0

    /// A few faults close together, the way in which they do harm.
    ///
    /// - Parameter style: the kind of trouble that most histories are to have.
    static func random(_ dice: inout Dice, toward style: Style?) -> Plan {
        var plan = Plan()
        let favourite = dice.chance(70) ? style : nil
        plan.agents = dice.chance(80) ? 3 : dice.chance(50) ? 4 : 5
        plan.semiSync = dice.chance(60)
        plan.maxLost = dice.chance(60) ? 1_000 : dice.chance(30) ? 3 : 0
        plan.bound = dice.chance(50)
        plan.fenceCommand = dice.chance(10)
        plan.coldStart = dice.chance(8)
        plan.semiSyncAtBoot = dice.chance(30)
        plan.intruder = dice.chance(15)
        favourite?.settings(&plan)
        let style = favourite ?? Style(&dice)
        if style == .lists { plan.chooseLists(&dice) }
        if plan.list.isEmpty { plan.list = Array(0..<plan.agents) }
        if style == .twoOfOneName { plan.copied = dice.pick(plan.agents) }
        plan.faults = faults(&dice, plan, style)
        plan.healed = plan.faults.map { $0.at + $0.lasts }.max() ?? 0
        return plan
    }

    /// Kinds of trouble.
    enum Style: String, CaseIterable {
        case anything, goneAndMore, sides, oneAfterTheOther, behind, everything, late
        /// The primary stands still and goes on when it has just been replaced.
        case wakes
        /// The primary and some agents are cut off while it stands still.
        case standsStill
        /// The primary goes when its replica has just come back from a long absence.
        case alone
        /// The primary comes back at once, without what it had.
        case forgets
        /// The agent that opens the primary again stands still meanwhile, and another one is made primary.
        case lateOpen
        /// The primary stands still, and a router can be neither stopped nor restarted meanwhile.
        case stubborn
        /// Two sides; an agent comes back on the other one, without what it knew.
        case movesOver
        /// The replica loses what it has acknowledged, and the primary goes before it has that again.
        case twoCrashes
        /// Two sides, and on each of them a host of the same name.
        case twoOfOneName
        /// The list of agents is changed, host by host, and two sides meanwhile.
        case lists

        init(_ dice: inout Dice) {
            switch dice.pick(100) {
            case 0..<40: self = .anything
            case 40..<60: self = .goneAndMore
            case 60..<72: self = .sides
            case 72..<80: self = .oneAfterTheOther
            case 80..<86: self = .behind
            case 86..<90: self = .everything
            case 90..<92: self = .wakes
            case 92..<94: self = .standsStill
            case 94..<96: self = .alone
            case 96: self = dice.chance(50) ? .forgets : .lists
            case 97: self = dice.chance(50) ? .lateOpen : .twoOfOneName
            case 98: self = dice.chance(50) ? .stubborn : .movesOver
            default: self = dice.chance(50) ? .late : .twoCrashes
            }
        }

        /// Where the trouble does harm.
        func settings(_ plan: inout Plan) {
            switch self {
            case .sides, .standsStill: plan.bound = true
            case .alone: plan.semiSync = true
            case .forgets: (plan.semiSync, plan.maxLost) = (false, 0)
            case .lateOpen: (plan.semiSync, plan.bound) = (true, false)
            case .stubborn: plan.semiSync = plan.semiSync || !plan.bound
            case .movesOver, .twoOfOneName: plan.agents = 3
            case .twoCrashes: (plan.semiSync, plan.maxLost) = (true, 0)
            default: break
            }
        }
    }

    private static func faults(_ dice: inout Dice, _ plan: Plan, _ style: Style) -> [Fault] {
        let agents = plan.agents
        var faults: [Fault] = []
        // Some begin while the agents still open the first primary, most when they know what its replica has.
        let at = dice.chance(30) ? dice.within(1_200...2_500) : dice.within(3_700...5_000)
        func add(_ kind: Fault.Kind, _ from: Int64, _ lasts: Int64) {
            faults.append(Fault(kind: kind, at: from, lasts: lasts))
        }
        func end() -> Int64 { dice.chance(30) ? dice.within(200...2_000) : dice.within(2_000...14_000) }
        switch style {
        case .anything:
            // Whatever comes.
            var next = at
            for _ in 0..<1 + dice.pick(3) {
                add(kind(&dice, agents), next, end())
                next += dice.chance(60) ? dice.within(0...1_200) : dice.within(1_200...7_000)
            }
        case .goneAndMore:
            // The primary goes, and something more while it is replaced.
            add(gone(&dice), at, dice.within(500...12_000))
            add(kind(&dice, agents), at + dice.within(0...6_000), end())
        case .sides:
            // Two sides, both with agents, for long enough that both make up their minds.
            var side = [dice.pick(2)]
            for host in 0..<agents where dice.chance(45) { side.append(2 + host) }
            add(.partition(side), at, dice.within(6_000...17_000))
            if dice.chance(60) { add(kind(&dice, agents), at + dice.within(-800...9_000), end()) }
        case .oneAfterTheOther:
            // One primary after the other.
            add(.crash(.a), at, dice.within(800...3_000))
            add(.crash(.b), at + dice.within(4_000...9_000), dice.within(1_000...6_000))
        case .behind:
            // A replica that is behind.
            add(.slowApplier, at - 800, dice.within(1_500...8_000))
            add(gone(&dice), at, end())
        case .everything:
            // Everything goes down and comes up again in some order.
            for id in ServerID.allCases {
                add(
                    dice.chance(70) ? .crash(id) : .powerLoss(id), at + dice.within(0...1_500), dice.within(500...8_000)
                )
            }
            for agent in 0..<agents where dice.chance(50) {
                add(.killAgent(agent), at + dice.within(0...1_500), dice.within(500...8_000))
            }
        case .wakes:
            let lasts = dice.within(4_200...7_500)
            add(.freeze(.a), at, lasts)
            if dice.chance(60) {
                var side = [0]
                for host in 0..<agents where dice.chance(65) { side.append(2 + host) }
                add(.partition(side), at + lasts + dice.within(-700...400), dice.within(7_000...13_000))
            }
        case .standsStill:
            add(.partition([0, 2 + dice.pick(agents)]), at, dice.within(17_000...21_000))
            let begins = at + dice.within(-300...2_000)
            add(.freeze(.a), begins, at + dice.within(12_500...17_000) - begins)
        case .alone:
            let lasts = dice.within(6_000...10_000)
            add(dice.chance(50) ? .crash(.b) : .partition([1]), at, lasts)
            add(gone(&dice), at + lasts + dice.within(-600...600), end())
        case .forgets: add(.amnesia(.a, 2 + dice.pick(8)), at, dice.within(200...4_000))
        case .lateOpen:
            let short = dice.within(200...900)
            add(.crash(.a), at, short)
            add(.freezeAgent(dice.pick(agents)), at + short + dice.within(100...1_300), dice.within(10_500...14_000))
            add(.crash(.a), at + short + dice.within(2_500...4_500), dice.within(1_500...4_000))
        case .stubborn where plan.bound && dice.chance(70):
            // The others replace the primary, and one host cannot close its path there.
            let (host, lasts) = (dice.pick(agents), dice.within(15_000...22_000))
            add(.partition([0, 2 + host]), at, lasts)
            add(.stubbornRouter(host), at - dice.within(0...500), lasts + dice.within(500...3_000))
        case .stubborn:
            let lasts = dice.within(4_500...9_000)
            add(.freeze(.a), at, lasts)
            add(.stubbornRouter(dice.pick(agents)), at - dice.within(0...500), lasts + dice.within(500...3_000))
        case .movesOver:
            // Most reach the replica, and replace the primary; then one of them reaches the old one alone.
            let stays = dice.pick(agents)
            let moves = (stays + 1 + dice.pick(agents - 1)) % agents
            let before = dice.within(9_000...18_000)
            // A primary that was made one has it on record, and tells it to whoever asks.
            let isRecorded = dice.chance(60)
            if isRecorded { add(.switchover, 3_800, 3_000) }
            let (old, begins) = isRecorded ? (1, 9_000 + dice.within(0...1_000)) : (0, at)
            add(.partition([old, 2 + stays]), begins, before)
            add(.lostDisk(moves), begins + before - dice.within(50...2_500), dice.within(100...4_000))
            add(.partition([old, 2 + stays, 2 + moves]), begins + before, dice.within(8_000...16_000))
        case .twoCrashes:
            add(.slowApplier, at - 1_500, dice.within(1_500...5_000))
            let crash = at + dice.within(-1_200...1_500)
            add(dice.chance(70) ? .crash(.a) : .powerLoss(.a), at, dice.within(3_000...14_000))
            add(.relayLost(.b), crash, dice.within(100...900))
        case .twoOfOneName:
            // A copy that never met the other one cannot know of it: the partition comes later.
            let host = plan.copied ?? 0
            let begins = at + dice.within(2_500...9_000)
            let lasts = dice.within(8_000...18_000)
            add(.copiedHost(host), at, begins - at + lasts + dice.within(0...3_000))
            if dice.chance(50) {
                // The one that was there first loses a session, and the other one may take its place.
                add(.oneWay(dice.pick(2), 2 + host), at + dice.within(-3_000...4_000), dice.within(1_000...6_000))
            }
            var side = [dice.pick(2), 2 + agents]
            for other in 0..<agents where other != host && dice.chance(60) { side.append(2 + other) }
            add(.partition(side), begins, lasts)
            if dice.chance(30) { add(kind(&dice, agents), begins + dice.within(-800...6_000), end()) }
        case .lists:
            // Those that are added come first; somebody does most within seconds, and leaves some for later.
            let added = (plan.newList ?? []).filter { !plan.list.contains($0) }
            let others = plan.list.shuffled(using: &dice)
            let early = added + others.prefix(dice.pick(others.count))
            let late = others.filter { !early.contains($0) }
            var next = at - dice.within(0...2_500)
            for host in early {
                add(.edit(host), max(1_000, next), 0)
                next += dice.within(50...800)
            }
            let begins = max(at, next) + dice.within(-300...7_000)
            let lasts = dice.within(6_000...17_000)
            var side = [dice.pick(2)]
            if dice.chance(60) {
                side += late.map { 2 + $0 }
            } else {
                for host in 0..<agents where dice.chance(50) { side.append(2 + host) }
            }
            add(.partition(side), begins, lasts)
            for host in late {
                add(.edit(host), begins + dice.within(0...lasts + 5_000), 0)
            }
            if dice.chance(30) { add(kind(&dice, agents), begins + dice.within(-800...9_000), end()) }
        case .late:
            // Agents that go on late with what they had begun.
            add(gone(&dice), at, dice.within(1_000...9_000))
            add(.freezeAgent(dice.pick(agents)), at + dice.within(100...4_000), dice.within(1_500...16_000))
            if dice.chance(50) { add(kind(&dice, agents), at + dice.within(1_000...8_000), end()) }
        }
        return faults
    }

    private mutating func chooseLists(_ dice: inout Dice) {
        let pairs: [([Int], [Int])] = [
            ([0, 1, 2], [0, 1, 2, 3, 4]), ([0, 1, 2, 3, 4], [0, 1, 2]), ([0, 1, 2], [0, 1, 3]),
            ([0, 1, 2], [0, 3, 4]),
            ([0, 1, 2], [0, 1, 2, 3]), ([0, 1, 2, 3], [0, 1, 2]), ([0, 1, 2, 3, 4], [2, 3, 4]),
        ]
        let pair = pairs[dice.pick(pairs.count)]
        (list, newList) = pair
        agents = Set(pair.0).union(pair.1).count
        coldStart = false
    }

    private static func gone(_ dice: inout Dice) -> Fault.Kind {
        switch dice.pick(10) {
        case 0..<5: .crash(.a)
        case 5..<7: .freeze(.a)
        case 7: .amnesia(.a, 1 + dice.pick(6))
        default: .powerLoss(.a)
        }
    }

    private static func kind(_ dice: inout Dice, _ agents: Int) -> Fault.Kind {
        let server: ServerID = dice.chance(70) ? .a : .b
        switch dice.pick(100) {
        case 0..<14: return .crash(server)
        case 14..<18: return .powerLoss(server)
        case 18: return .relayLost(server)
        case 19..<21: return .amnesia(server, 1 + dice.pick(6))
        case 21..<33: return .freeze(server)
        case 33..<53:
            var side = [server == .a ? 0 : 1]
            for host in 0..<agents where dice.chance(40) { side.append(2 + host) }
            return .partition(side)
        case 53..<57: return .oneWay(dice.pick(2 + agents), dice.pick(2 + agents))
        case 57: return .stubbornRouter(dice.pick(agents))
        case 58: return .fullDisk(dice.pick(agents))
        case 59: return .reload(dice.pick(agents))
        case 60: return .lostDisk(dice.pick(agents))
        case 61..<69: return .killAgent(dice.pick(agents))
        case 69..<78: return .freezeAgent(dice.pick(agents))
        case 78..<82: return .lossy(10 + dice.pick(40))
        case 82..<85: return .slowApplier
        case 85..<89: return .switchover
        case 89..<91: return .clockJump(server)
        case 91: return .acceptLoss
        case 92: return .failover
        case 93..<95: return .pause
        case 95..<97: return .refuse(server)
        case 97: return .brokenApplier
        case 98: return .foreignRecord
        default: return .errant
        }
    }
}
