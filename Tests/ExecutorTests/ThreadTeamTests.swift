import CProcess
import TestSupport
import Testing

@testable import Executor

extension SerialTests {
    @Suite(.serialized) struct ThreadTeamTests {
        @Test func workersKeepOffTheCallersProcessor() {
            let own = allowedProcessors()
            guard own.count > 1 else { return }
            let team = ThreadTeam(count: 2)
            var found = [Set<Int32>](repeating: [], count: 2)
            found.withUnsafeMutableBufferPointer { found in
                nonisolated(unsafe) let places = found
                team.run { thread, _ in places[thread] = allowedProcessors() }
            }
            // The caller stays free; its worker may go anywhere but to one of its processors.
            #expect(found[0] == own)
            #expect(found[1].count == own.count - 1 && found[1].isSubset(of: own))
        }

        @Test func moreThreadsThanProcessorsGoAnywhere() {
            let own = allowedProcessors()
            guard let first = own.min(), own.count > 1 else { return }
            cp_keep_off(first, 2)
            #expect(allowedProcessors() == own.subtracting([first]))
            #expect(cp_processor() != first)
            cp_keep_off(first, UInt32(own.count) + 1)
            #expect(allowedProcessors() == own)
            // A processor that isn't the thread's own, or none.
            cp_keep_off(first, 2)
            cp_keep_off(-1, 2)
            #expect(allowedProcessors() == own)
        }
    }
}
