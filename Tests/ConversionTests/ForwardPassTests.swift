import ByteIO
import Conversion
import Executor
import TestSupport
import Testing

/// Every model that a framework wrote computes what the framework computed.
@Suite struct ForwardPassTests {
    @Test func fixturesAreThere() {
        #expect(Fixtures.models.count > 250)
        #expect(Known.supportedModels.count > 250)
        for name in Array(Known.bounds.keys) + Array(Known.unsupported.keys) {
            #expect(Fixtures.models.contains { $0.name == name }, "\(name) is in a table but not in the manifest")
        }
    }

    @Test(arguments: Known.supportedModels) func computesWhatTheFrameworkDid(model: FixtureModel) throws {
        let opened = try model.open().requireModel()
        for backend in Backend.allCases { #expect(try model.differences(of: opened, on: backend) == [], "\(backend)") }
    }

    @Test(arguments: Known.unsupportedModels) func saysWhatItCannotRun(model: FixtureModel) throws {
        let file = try model.open()
        let error = #expect(throws: UnsupportedError.self) { try file.requireModel().graph() }
        let words = try #require(Known.unsupported[model.name])
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "it runs")")
        // It is inspected all the same.
        let inspection = try Inspection(file)
        #expect(!inspection.layers.isEmpty)
        #expect(!inspection.obstacles.isEmpty)
    }
}
