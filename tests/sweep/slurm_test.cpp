#include "sweep/slurm.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "sweep/slurm_table.h"

namespace tide {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

SlurmJob job() {
  SlurmJob job{"tidegauge-1", "/opt/tide gauge/tidegauge", "/home/u/work", "/shared/it's 5%", 16, {}};
  job.options.partition = "cpu";
  job.options.time = "2:00:00";
  job.options.memory = "10G";
  job.options.cpus = 8;
  job.options.modules = {"gcc/12", "hdf5"};
  job.options.sbatch = {"--gres=gpu:1", "--mail-type=FAIL"};
  job.options.setup = {"export A=1"};
  return job;
}

TEST(SlurmScript, SaysWhatTheTableSays) {
  const std::string script = slurm_script(job());
  EXPECT_EQ(script.substr(0, 12), "#!/bin/bash\n");
  for (const char* option : {"--job-name=tidegauge-1", "--partition=cpu", "--time=2:00:00", "--mem=10G",
                             "--cpus-per-task=8", "--gres=gpu:1", "--mail-type=FAIL"})
    EXPECT_THAT(script, HasSubstr("\n#SBATCH " + std::string(option) + "\n"));
  EXPECT_THAT(script, HasSubstr("\nmodule load gcc/12 || exit 1\nmodule load hdf5 || exit 1\nexport A=1\n"));
  EXPECT_THAT(script, HasSubstr("--shard \"$SLURM_ARRAY_TASK_ID/16\""));
  EXPECT_THAT(script, HasSubstr(" --memory " + std::to_string((10LL << 30) / 10 * 9) + "\n"));
}

TEST(SlurmScript, LeavesOutWhatIsNotSaid) {
  SlurmJob plain = job();
  plain.options = {};
  const std::string script = slurm_script(plain);
  for (const char* absent : {"partition", "time", "mem", "cpus-per-task=", "account", "qos", "module"})
    EXPECT_THAT(script, Not(HasSubstr(absent))) << absent;
}

TEST(SlurmScript, NamesPathsAsShellAndSlurmReadThem) {
  const std::string script = slurm_script(job());
  EXPECT_THAT(script, HasSubstr("exec '/opt/tide gauge/tidegauge' sweep"));
  EXPECT_THAT(script, HasSubstr("--out '/shared/it'\\''s 5%' "));
  EXPECT_THAT(script, HasSubstr("--output=\"/shared/it's 5%%/shards/log/shard-%a.log\"\n"));
  SlurmJob bad = job();
  bad.out = "/shared/a\"b";
  EXPECT_THAT([&] { slurm_script(bad); }, ThrowsMessage<InputError>(HasSubstr("quote")));
  bad = job();
  bad.options.memory = "lots";
  EXPECT_THAT([&] { slurm_script(bad); }, ThrowsMessage<InputError>(HasSubstr("'lots'")));
}

TEST(SlurmOptions, RefuseWhatTheLauncherSetsItself) {
  const auto read = [](const std::string& option) {
    return read_slurm_options(toml::parse("sbatch = ['" + option + "']"), "cluster.toml");
  };
  for (const char* option :
       {"--job-name=x", "--job-name x", "-Jx", "-J x", "--array=1-3", "--hold", "--clusters=b"})
    EXPECT_THAT([&] { read(option); }, ThrowsMessage<InputError>(HasSubstr("set by the launcher"))) << option;
  for (const char* option : {"--gres=gpu:1", "-p gpu", "--mail-type=FAIL", "--job-namespace"})
    EXPECT_NO_THROW(read(option)) << option;
}

TEST(SlurmScript, PlainMemoryIsInMegabytes) {
  SlurmJob plain = job();
  plain.options.memory = "1000";
  EXPECT_THAT(slurm_script(plain), HasSubstr(" --memory " + std::to_string((1000LL << 20) / 10 * 9) + "\n"));
}

TEST(SlurmJobName, IsTheFolders) {
  EXPECT_EQ(slurm_job_name("/a/b"), slurm_job_name("/a/./c/../b"));
  EXPECT_NE(slurm_job_name("/a/b"), slurm_job_name("/a/c"));
}

TEST(SlurmQueue, ItsLinesAreTasks) {
  const auto tasks =
      parse_squeue("12|3|RUNNING|None\n12|4|PENDING|Resources\n13|N/A|RUNNING|None\nslurm: hm\n");
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].job, "12");
  EXPECT_EQ(tasks[0].shard, 3);
  EXPECT_EQ(tasks[0].state, "RUNNING");
  EXPECT_EQ(tasks[1].reason, "Resources");
  EXPECT_FALSE(tasks[1].is_held());
  EXPECT_TRUE(parse_squeue("12|3|PENDING|launch failed requeued held\n").front().is_held());
  EXPECT_TRUE(parse_squeue("12|3|REQUEUE_HOLD|None\n").front().is_held());
  EXPECT_FALSE(parse_squeue("12|3|PENDING|JobHeldUser\n").front().is_held()) << "a person's to release";
  EXPECT_TRUE(parse_squeue("").empty());
}

TEST(SlurmArray, RunsOfShardsAreRanges) {
  EXPECT_EQ(array_text({1, 2, 3, 7, 9, 10}, 0), "1-3,7,9-10");
  EXPECT_EQ(array_text({5}, 2), "5%2");
}

}  // namespace
}  // namespace tide
