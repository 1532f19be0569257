/// A strided walk divided among threads: by rows where there are several, else within the one row.
struct RowSchedule {
    let walk: StridedWalk
    /// Every row's positions, made once; nil where there are so many rows (each of few elements) that one thread walks instead.
    private let offsets: [SIMD4<Int>]?

    init(_ walk: StridedWalk) {
        self.walk = walk
        var offsets: [SIMD4<Int>] = []
        if walk.rowCount <= 1 << 17 {
            offsets.reserveCapacity(walk.rowCount)
            walk.forEachRow { offsets.append($0) }
            self.offsets = offsets
        } else {
            self.offsets = nil
        }
    }

    /// Calls `body` with positions of the operands and a number of elements from there on.
    @inline(__always)
    func run(_ team: ThreadTeam, cost: Int = 1, _ body: (SIMD4<Int>, Int) -> Void) {
        if walk.isEmpty { return }
        guard let offsets else { return walk.forEachRow { body($0, walk.rowLength) } }
        if offsets.count == 1 {
            team.split(walk.rowLength, cost: cost, multiple: 16) { range in
                body(offsets[0] &+ SIMD4(repeating: range.lowerBound) &* walk.rowStrides, range.count)
            }
        } else {
            team.split(offsets.count, cost: cost * walk.rowLength) { rows in
                for row in rows { body(offsets[row], walk.rowLength) }
            }
        }
    }
}
