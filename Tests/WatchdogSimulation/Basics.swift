import SeededRandom

/// A small, fast generator; the same seed gives the same history.
struct Dice: RandomNumberGenerator {
    private var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1)
    }

    mutating func next() -> UInt64 { generator.next() }

    mutating func within(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + Int64(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    mutating func pick(_ count: Int) -> Int { Int(next() % UInt64(count)) }

    mutating func chance(_ percent: Int) -> Bool { next() % 100 < UInt64(percent) }
}

/// Transactions of clients, by number.
struct Marks: Equatable {
    private var words: [UInt64] = []

    mutating func insert(_ number: Int) {
        let word = number >> 6
        while words.count <= word { words.append(0) }
        words[word] |= 1 << UInt64(number & 63)
    }

    func contains(_ number: Int) -> Bool {
        let word = number >> 6
        return word < words.count && words[word] & (1 << UInt64(number & 63)) != 0
    }

    mutating func formUnion(_ other: Marks) {
        while words.count < other.words.count { words.append(0) }
        for index in other.words.indices { words[index] |= other.words[index] }
    }

    /// Members that neither of the others holds.
    func missing(in other: Marks, _ third: Marks = Marks()) -> [Int] {
        var out: [Int] = []
        for index in words.indices {
            var rest = words[index]
            if index < other.words.count { rest &= ~other.words[index] }
            if index < third.words.count { rest &= ~third.words[index] }
            while rest != 0 {
                out.append(index << 6 + rest.trailingZeroBitCount)
                rest &= rest - 1
            }
        }
        return out
    }
}

/// Events in the order of their times, and of their making where times are equal. Events must be plain values: a heap
/// moves them about.
struct Agenda<Event: BitwiseCopyable> {
    private struct Entry: BitwiseCopyable {
        /// The time, and in the low bits the order.
        var key: Int64
        var event: Event
    }
    private var heap: [Entry] = []
    private var made: Int64 = 0
    private static var orderBits: Int64 { 24 }

    mutating func add(_ time: Int64, _ event: Event) {
        let entry = Entry(key: time << Self.orderBits | made, event: event)
        made += 1
        var hole = heap.count
        heap.append(entry)
        while hole > 0 {
            let parent = (hole - 1) / 2
            guard entry.key < heap[parent].key else { break }
            heap[hole] = heap[parent]
            hole = parent
        }
        heap[hole] = entry
    }

    mutating func next() -> (time: Int64, event: Event)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        let count = heap.count
        if count > 0 {
            var hole = 0
            while true {
                var child = 2 * hole + 1
                guard child < count else { break }
                if child + 1 < count, heap[child + 1].key < heap[child].key { child += 1 }
                guard heap[child].key < last.key else { break }
                heap[hole] = heap[child]
                hole = child
            }
            heap[hole] = last
        }
        return (first.key >> Self.orderBits, first.event)
    }
}

/// Which directions of the network are cut. Two faults may cut the same one: it is mended with the last of them.
struct Links {
    private var counts = [UInt8](repeating: 0, count: 64)
    private var mask: UInt64 = 0

    /// - Parameters: nodes, at most eight of them.
    mutating func set(_ from: Int, _ to: Int, cut: Bool) {
        let link = from * 8 + to
        if cut { counts[link] += 1 } else if counts[link] > 0 { counts[link] -= 1 }
        if counts[link] > 0 { mask |= 1 << UInt64(link) } else { mask &= ~(1 << UInt64(link)) }
    }

    func passes(_ from: Int, _ to: Int) -> Bool { mask & (1 << UInt64(from * 8 + to)) == 0 }
}
