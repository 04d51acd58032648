import Glibc

/// The guard that is turned round in this process, by its number in $MUTANT. Only in the copy that Scripts/mutate makes.
enum Mutant {
    static let active = getenv("MUTANT").flatMap { Int(String(cString: $0)) } ?? 0

    static func flip(_ number: Int, _ condition: @autoclosure () -> Bool) -> Bool {
        condition() != (number == active)
    }

    static func keep(_ number: Int) -> Bool { number != active }
}
