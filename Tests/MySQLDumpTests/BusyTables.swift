import Synchronization

/// Set once, by whoever comes first.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    /// - Returns: whether this call was the one that set it.
    @discardableResult
    func set() -> Bool { !value.exchange(true, ordering: .acquiringAndReleasing) }
}

/// Fills `shop.big` with 20,000 rows, about 20 MB.
let bigTable = """
    SET SESSION cte_max_recursion_depth = 100000;
    CREATE TABLE shop.big (id int PRIMARY KEY AUTO_INCREMENT, filler varchar(1000));
    INSERT INTO shop.big (filler) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
      SELECT RPAD(i, 1000, SHA2(i, 256)) FROM n;
    """
