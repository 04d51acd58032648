/// A binary heap of (instant, slot), earliest first. Entries are not searched: a slot remembers which of its
/// entries counts, and the others are dropped when they come up, or all at once when they have become many.
struct TimerHeap {
    private var entries: [(at: ContinuousClock.Instant, slot: WaitSlot)] = []

    var earliest: ContinuousClock.Instant? { entries.first?.at }
    var count: Int { entries.count }

    mutating func push(_ at: ContinuousClock.Instant, _ slot: WaitSlot) {
        entries.append((at, slot))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].at < entries[parent].at else { break }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// Throws out every entry of which `isDone` is true.
    mutating func removeAll(where isDone: (WaitSlot, ContinuousClock.Instant) -> Bool) {
        entries.removeAll { isDone($0.slot, $0.at) }
        // Ascending order is a heap.
        entries.sort { $0.at < $1.at }
    }

    /// Takes out the earliest entry if it is due.
    mutating func pop(dueAt now: ContinuousClock.Instant) -> (at: ContinuousClock.Instant, slot: WaitSlot)? {
        guard let first = entries.first, first.at <= now else { return nil }
        let last = entries.removeLast()
        if !entries.isEmpty {
            entries[0] = last
            var parent = 0
            while true {
                var least = parent
                for child in [2 * parent + 1, 2 * parent + 2]
                where child < entries.count && entries[child].at < entries[least].at {
                    least = child
                }
                if least == parent { break }
                entries.swapAt(parent, least)
                parent = least
            }
        }
        return first
    }
}
