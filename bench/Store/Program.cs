// The embedded store beside other layouts of the same features, on one thread:
//   dotnet run -c Release --project bench/Store [-- --filter '*Reads*']
// The files are in the folder for temporary files. BenchmarkDotNet writes its reports to BenchmarkDotNet.Artifacts.
using BenchmarkDotNet.Running;
using RouteService.Store.Bench;

BenchmarkSwitcher.FromTypes([typeof(Reads), typeof(Importing)]).Run(args is [] ? ["--filter", "*"] : args);
