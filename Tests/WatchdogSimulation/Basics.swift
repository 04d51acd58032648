/// A small, fast generator; the same seed gives the same history.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

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

/// Events in the order of their times, and of their making where times are equal.
struct Agenda<Event> {
    private var heap: [(time: Int64, order: Int, event: Event)] = []
    private var made = 0

    private static func before(
        _ a: (time: Int64, order: Int, event: Event), _ b: (time: Int64, order: Int, event: Event)
    )
        -> Bool
    {
        a.time != b.time ? a.time < b.time : a.order < b.order
    }

    mutating func add(_ time: Int64, _ event: Event) {
        heap.append((time, made, event))
        made += 1
        var index = heap.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard Self.before(heap[index], heap[parent]) else { break }
            heap.swapAt(index, parent)
            index = parent
        }
    }

    mutating func next() -> (time: Int64, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            var index = 0
            while true {
                var least = index
                for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
                    if Self.before(heap[child], heap[least]) { least = child }
                }
                if least == index { break }
                heap.swapAt(index, least)
                index = least
            }
        }
        return (first.time, first.event)
    }
}
