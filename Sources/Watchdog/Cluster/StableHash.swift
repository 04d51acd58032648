/// FNV-1a of a text: the same on every host and in every process, unlike Swift's own hash. For names and marks, never
/// where somebody could want a collision.
/// http://www.isthe.com/chongo/tech/comp/fnv/
enum StableHash {
    static func of(_ text: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash
    }
}
