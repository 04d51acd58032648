/// A value for each of the two servers. Read several times in every look, where a dictionary's hashing would show.
package struct PerServer<Value> {
    private var a: Value?
    private var b: Value?

    package init() {}

    package subscript(id: ServerID) -> Value? {
        get { id == .a ? a : b }
        set { if id == .a { a = newValue } else { b = newValue } }
    }
}

extension PerServer: Sendable where Value: Sendable {}
extension PerServer: Equatable where Value: Equatable {}
extension PerServer: Hashable where Value: Hashable {}

extension PerServer: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (ServerID, Value)...) {
        for (id, value) in elements { self[id] = value }
    }
}
