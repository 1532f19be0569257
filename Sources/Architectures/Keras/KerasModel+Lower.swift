import ByteIO
import FormatKit
import JSON
import ModelIR

extension KerasModel {
    public func lower(to target: LoweringTarget) throws -> Lowered { throw UnsupportedError("not yet") }

    public func lowered(toConventionOf other: any Model) throws -> Lowered? {
        guard let other = other as? KerasModel, other.version.generation != version.generation else { return nil }
        return try lower(to: other.version.generation == 3 ? .keras3 : .keras2)
    }
}
