import ArgumentParser
import ByteIO
import Conversion
import Glibc
import ModelIR

/// Runs the command line and turns every error into one line and an exit code.
enum CommandRunner {
    static func run() {
        TemporaryFiles.removeOnSignals()
        var model: String?
        do {
            var command = try IngotCommand.parseAsRoot()
            model = (command as? any ModelCommand)?.model
            try command.run()
            Terminal.flush()
        } catch let failure as CommandFailure {
            Terminal.flush()
            if let message = failure.message { Terminal.error(message) }
            exit(failure.code)
        } catch {
            Terminal.flush()
            if let (message, code) = describe(error, model: model) {
                Terminal.error(message)
                exit(code)
            }
            IngotCommand.exit(withError: error)
        }
    }

    /// Message and exit code of Ingot's own errors; nil for the argument parser's.
    private static func describe(_ error: any Error, model: String?) -> (String, Int32)? {
        switch error {
        case let error as FormatError: (model.map { error.inFile($0) }?.description ?? error.description, 65)
        case let error as InputError: (error.description, 65)
        case let error as GraphError: ("model: \(error.description)", 65)
        case let error as UnsupportedError: (error.description, 69)
        case let error as FileError: (error.description, error.kind == .input ? 66 : 73)
        default: nil
        }
    }
}

/// A command on one model: errors that surface while its tensors are read name it.
protocol ModelCommand {
    var model: String { get }
}

/// An outcome that isn't success, already reported or with a last line to report.
struct CommandFailure: Error {
    var code: Int32
    var message: String?

    /// Exit code 1: a difference.
    static func difference(_ message: String? = nil) -> CommandFailure { CommandFailure(code: 1, message: message) }
}
