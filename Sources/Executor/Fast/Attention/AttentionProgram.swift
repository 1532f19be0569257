import CKernels
import ModelIR
import Synchronization

/// The strands of some heads in memory, with their work counted: what the kernel runs by, the same in every pass and for every layer.
final class AttentionProgram: Sendable {
    /// A few neighbouring queries of a strand.
    struct Piece: Sendable {
        var strand: Int
        var queries: Range<Int>
    }

    /// Where a strand lies in `numbers`.
    struct Place: Sendable {
        var (queries, keys, ranges): (Int, Int, Int)
        var (queryCount, keyCount): (Int, Int)
    }

    struct Phase: Sendable {
        var pieces: [Piece] = []
        /// Work before each piece, and of all; keys times queries, and something for every piece.
        var work: [Int] = [0]
    }

    let places: [Place]
    let phases: [Phase]
    /// Queries, keys and ranges (from, to) of all strands.
    let numbers: [Int32]
    /// Keys of the longest range.
    let longest: Int

    /// Queries of a piece: a multiple of the kernel's lanes.
    private static let pieceSize = 64

    init(_ phases: AttentionPhases) {
        var (places, made, numbers, longest): ([Place], [Phase], [Int32], Int) = ([], [], [], 0)
        for strands in phases.phases {
            var phase = Phase()
            for strand in strands {
                let place = Place(
                    queries: numbers.count, keys: numbers.count + strand.queries.count,
                    ranges: numbers.count + strand.queries.count + strand.keys.count, queryCount: strand.queries.count,
                    keyCount: strand.keys.count)
                numbers += strand.queries
                numbers += strand.keys
                for range in strand.ranges {
                    numbers += [range.lowerBound, range.upperBound]
                    longest = max(longest, range.count)
                }
                for first in stride(from: 0, to: strand.queries.count, by: Self.pieceSize) {
                    let last = min(first + Self.pieceSize, strand.queries.count)
                    let work = strand.ranges[first..<last].reduce(0) { $0 + $1.count } + 64
                    phase.pieces.append(Piece(strand: places.count, queries: first..<last))
                    phase.work.append((phase.work.last ?? 0) + work)
                }
                places.append(place)
            }
            made.append(phase)
        }
        (self.places, self.phases, self.numbers, self.longest) = (places, made, numbers, longest)
    }

    private struct Key: Hashable {
        var pattern: AttentionPattern
        var (queries, keys): (Int, Int)

        static func == (a: Key, b: Key) -> Bool { a.pattern == b.pattern && a.queries == b.queries && a.keys == b.keys }

        func hash(into hasher: inout Hasher) {
            hasher.combine(queries)
            hasher.combine(keys)
        }
    }

    /// Layers of a model mostly share their pattern: the last few programs are kept.
    private static let known = Mutex<[Key: AttentionProgram?]>([:])

    /// nil where the pattern doesn't fall into strands.
    static func program(_ pattern: AttentionPattern, queries: Int, keys: Int) -> AttentionProgram? {
        let key = Key(pattern: pattern, queries: queries, keys: keys)
        if let found = known.withLock({ $0[key] }) { return found }
        let made = AttentionPhases(pattern, queries: queries, keys: keys).map { AttentionProgram($0) }
        known.withLock {
            if $0.count >= 8 { $0 = [:] }
            $0[key] = made
        }
        return made
    }
}
